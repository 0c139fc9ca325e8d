"""Template: a note on each image."""
