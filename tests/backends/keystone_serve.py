"""Serves Keystone's WSGI application: ``keystone_serve.py HOST PORT``.

Federated logins: in front of Keystone stands what Apache and mod_auth_openidc do there. Who comes without a company's
account is shown the company's page, and who has logged in there is told to Keystone, which decides by its own mapping.
"""

import html
import sys
from urllib.parse import parse_qs

import waitress
from keystone.server.wsgi import initialize_public_application

WEBSSO = "/v3/auth/OS-FEDERATION/websso/"
ISSUER = "https://company.example"
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The company</title></head><body><h1>The company</h1>
<form><input type="hidden" name="origin" value="{origin}"><label>Account <input name="account"></label><button>Log in at the company</button></form></body></html>"""


class Company:
    def __init__(self, keystone):
        self._keystone = keystone

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].startswith(WEBSSO):
            said = parse_qs(environ["QUERY_STRING"])
            if "account" not in said:
                start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
                return [PAGE.format(origin=html.escape(said.get("origin", [""])[0])).encode()]
            environ |= {"REMOTE_USER": said["account"][0], "HTTP_OIDC_ISS": ISSUER}
        return self._keystone(environ, start_response)


host, port = sys.argv[1:3]
del sys.argv[1:]  # Keystone parses them as its own
waitress.serve(Company(initialize_public_application()), host=host, port=int(port), threads=1, channel_timeout=300)
