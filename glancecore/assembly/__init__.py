"""How the service is put together: which kinds of plugins there are, and how they are loaded."""
