"""Keystone tokens, validated by keystonemiddleware."""
