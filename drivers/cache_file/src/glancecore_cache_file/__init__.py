"""Image data cached as files in a folder, with an index in SQLite."""
