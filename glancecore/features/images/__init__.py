"""Images: their metadata, data, locations and removal."""
