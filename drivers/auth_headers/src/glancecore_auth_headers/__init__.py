"""Identity headers that a trusted authenticating proxy has set."""
