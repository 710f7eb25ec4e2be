"""Samples in, shards out."""
