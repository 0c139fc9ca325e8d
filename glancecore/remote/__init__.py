"""Copies of images between services and folders, over API v2."""
