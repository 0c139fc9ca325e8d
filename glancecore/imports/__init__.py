"""Running imports: what each part of one does, in which order, and how it goes on after a crash."""
