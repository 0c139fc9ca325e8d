"""Keystone's unified limits, asked for by oslo.limit."""
