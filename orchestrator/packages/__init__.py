"""Debian packages, fetched by this computer's own apt."""
