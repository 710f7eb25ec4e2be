"""Torch modules to bundles."""
