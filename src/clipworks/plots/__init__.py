"""Figures from plain tables."""
