"""The journal, from which every result is computed."""
