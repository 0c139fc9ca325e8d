"""Imports from the web: the service fetches a URL."""
