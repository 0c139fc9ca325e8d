"""Periodic jobs: who runs them, when, and the jobs that come with the core."""
