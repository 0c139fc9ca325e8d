"""The copies of images: looked after, repaired, and as many as declared."""
