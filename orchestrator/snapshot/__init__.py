"""Ways to save and load an instance's state, one a file, behind one protocol."""
