"""Sharing images with other projects."""
