"""Use cases: one public method is one thing that a user can ask for."""
