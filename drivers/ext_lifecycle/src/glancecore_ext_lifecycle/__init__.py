"""Policies for old images: planned first, applied then."""
