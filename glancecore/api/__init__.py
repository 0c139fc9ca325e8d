"""HTTP: parse, call one use case, serialize. Nothing here decides."""
