"""Families of images, their versions and channels."""
