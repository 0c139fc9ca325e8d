"""Entities, their rules and errors: pure Python, imports nothing of the other layers."""
