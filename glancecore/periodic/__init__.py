"""Periodic jobs: who runs them, and when. Each job lies in its feature."""
