"""The sources of a guest's ticks, one file a timer."""
