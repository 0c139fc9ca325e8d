"""Images on any web server, read only."""
