"""Certificates of image signers in a key manager, through castellan."""
