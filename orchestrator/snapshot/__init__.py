"""Ways to save and load a machine's state, one a file, behind one protocol."""
