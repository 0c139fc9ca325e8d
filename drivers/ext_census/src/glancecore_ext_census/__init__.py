"""How much of each image is empty: an example of an extension."""
