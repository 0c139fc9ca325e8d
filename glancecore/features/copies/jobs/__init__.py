"""The periodic jobs that look after copies."""
