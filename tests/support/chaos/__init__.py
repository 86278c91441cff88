"""Runs of the real command under faults that a seed draws, and the checks after each."""
