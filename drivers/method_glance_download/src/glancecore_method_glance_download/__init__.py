"""Imports from the image service of another region."""
