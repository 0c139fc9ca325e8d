"""Serves Keystone's WSGI application: ``keystone_serve.py HOST PORT``."""

import sys

import waitress
from keystone.server.wsgi import initialize_public_application

host, port = sys.argv[1:3]
del sys.argv[1:]  # Keystone parses them as its own
waitress.serve(initialize_public_application(), host=host, port=int(port), threads=1, channel_timeout=300)
