"""One file a runtime; the registry reaches them by name."""
