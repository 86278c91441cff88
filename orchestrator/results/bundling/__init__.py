"""Bundles: the output folder of a run as one file that a stranger can read."""
