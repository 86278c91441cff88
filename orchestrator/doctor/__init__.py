"""Examines this host: what can be tested on it, what can't, and what would mend that."""
