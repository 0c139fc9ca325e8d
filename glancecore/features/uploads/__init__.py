"""Uploads in pieces, for the extensions that take them."""
