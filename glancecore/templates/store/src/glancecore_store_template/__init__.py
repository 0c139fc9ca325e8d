"""Images in Template."""
