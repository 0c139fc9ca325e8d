"""What an import does, stage by stage."""
