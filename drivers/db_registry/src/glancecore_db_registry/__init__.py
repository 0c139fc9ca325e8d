"""The database port carried to the private metadata service, glance-registry."""
