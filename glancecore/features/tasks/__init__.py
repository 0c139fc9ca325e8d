"""Tasks: imports as clients look at them, and the older way to begin one."""
