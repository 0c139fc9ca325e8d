"""Limits of single projects, for administrators."""
