"""Converts images with qemu-img, within limits."""
