"""How the database port travels between glance-registry and its clients: which calls there are, how values are written,
how a message proves who sends it."""
