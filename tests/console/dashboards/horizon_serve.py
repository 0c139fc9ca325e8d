"""Serves Horizon and its static files: ``horizon_serve.py HOST PORT``, with DJANGO_SETTINGS_MODULE and the variables
that horizon_settings.py reads."""

import mimetypes
import sys
from pathlib import Path

import waitress
from django.conf import settings
from django.core.wsgi import get_wsgi_application

horizon = get_wsgi_application()


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if not path.startswith(settings.STATIC_URL):
        return horizon(environ, start_response)
    root = Path(settings.STATIC_ROOT).resolve()
    file = (root / path.removeprefix(settings.STATIC_URL)).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        start_response("404 Not Found", [])
        return []
    start_response("200 OK", [("Content-Type", mimetypes.guess_type(file.name)[0] or "application/octet-stream")])
    return [file.read_bytes()]


host, port = sys.argv[1:3]
waitress.serve(application, host=host, port=int(port), threads=8)
