"""Deleted images can be seen and had back."""
