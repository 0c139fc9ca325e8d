"""Images in a pool of Ceph."""
