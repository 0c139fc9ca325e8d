"""Properties that the operator gives to each imported image."""
