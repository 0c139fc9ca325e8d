"""How often images are used, and when they were last."""
