"""One file an index library; the registry reaches them by name."""
