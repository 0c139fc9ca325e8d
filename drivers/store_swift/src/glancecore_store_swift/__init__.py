"""Images as objects in OpenStack Swift."""
