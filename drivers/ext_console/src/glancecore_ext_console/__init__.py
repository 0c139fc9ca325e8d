"""A console in the browser."""
