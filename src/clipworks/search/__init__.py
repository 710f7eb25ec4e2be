"""Embedding folders to answers."""
