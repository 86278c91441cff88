"""Bochs, and what it boots."""
