"""What a deployment tells clients about itself."""
