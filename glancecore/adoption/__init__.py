"""Taking over a deployment of Glance in place: its database is read, its stores' bytes stay where they are."""
