"""Imports of data that its user has staged."""
