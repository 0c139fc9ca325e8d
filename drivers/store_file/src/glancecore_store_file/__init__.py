"""Images as files in a folder."""
