"""Certificates of image signers in a folder."""
