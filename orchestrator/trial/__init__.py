"""One load of one save, what the ticks did after it, and why."""
