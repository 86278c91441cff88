"""Fleets as files of other engines."""
