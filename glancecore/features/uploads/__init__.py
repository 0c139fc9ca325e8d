"""Uploads in pieces, whatever dialect of them is spoken."""
