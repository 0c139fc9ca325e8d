"""Image data in numbered parts, several at once, with one commit."""
