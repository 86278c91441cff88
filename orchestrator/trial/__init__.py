"""Trials: a save, its loads, what the ticks did after each, and why."""
