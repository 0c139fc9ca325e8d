"""Metadata definitions."""
