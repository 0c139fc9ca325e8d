"""What plugins implement (abstract classes) and what they are handed."""
