"""An image service made of plugins; see docs/architecture.md for the map."""
