"""Images in the datastores of a vCenter."""
