"""The image cache: hits from a local disk, and its care."""
