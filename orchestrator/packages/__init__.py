"""Debian's packages, by this machine's own apt."""
