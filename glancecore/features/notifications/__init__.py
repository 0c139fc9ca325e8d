"""Telling others what has happened: what operators choose of it."""
