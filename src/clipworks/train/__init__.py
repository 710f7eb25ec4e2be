"""Training CLIP-like models: losses, the loop, and snapshots that resume exactly."""
