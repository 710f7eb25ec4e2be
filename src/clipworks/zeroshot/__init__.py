"""Labels from words, without training."""
