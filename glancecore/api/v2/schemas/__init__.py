"""JSON schemas: what bodies must look like, and the documents of GET /v2/schemas."""
