"""Serves Barbican's WSGI application: ``barbican_serve.py PASTE_INI HOST PORT``."""

import sys

import waitress
from paste import deploy

ini, host, port = sys.argv[1:4]
del sys.argv[1:]
# one thread: two writers on SQLite end in "database is locked"
waitress.serve(deploy.loadapp(f"config:{ini}"), host=host, port=int(port), threads=1, channel_timeout=300)
