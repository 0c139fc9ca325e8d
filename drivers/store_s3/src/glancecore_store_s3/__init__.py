"""Images as objects in an S3 service."""
