"""Checks detached OpenPGP signatures of imported data."""
