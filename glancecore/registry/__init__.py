"""The private metadata service: the database port over HTTP, for API nodes that hold no database credentials."""
