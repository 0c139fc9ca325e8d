"""Image data on its way: stores, and what counts, hashes and inspects the bytes between them and clients."""
