"""Shipped kits that certify plugins (extra ``glancecore[testing]``), and in-memory ports for tests of services."""
