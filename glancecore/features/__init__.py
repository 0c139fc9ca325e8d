"""The capabilities of the core, one folder each. The same file has the same name in all of them: see
docs/architecture.md."""
