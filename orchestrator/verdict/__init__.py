"""Verdicts, computed from the counts of a journal."""
