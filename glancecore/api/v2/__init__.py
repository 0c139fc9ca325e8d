"""The Image API v2, one file a noun."""
