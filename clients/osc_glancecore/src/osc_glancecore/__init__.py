"""glancecore on the command line."""
