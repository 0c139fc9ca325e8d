"""Unpacks compressed images, within limits."""
