"""HTTP basic authentication with a file of users."""
