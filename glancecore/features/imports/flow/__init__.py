"""An import as a flow of TaskFlow, and where it keeps how far it is."""
