"""Runs tasks of a fleet on hosts through SSH."""
