"""The HTTP server: gunicorn's arbiter and parser, and a worker of our own that no slow client can hold up."""
