"""Which process runs an import: this one, one of its own, or a worker behind a job board."""
