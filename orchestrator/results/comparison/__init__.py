"""Runs compared: equal cells of two or more runs, with exact answers."""
