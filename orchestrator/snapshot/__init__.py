"""Methods to save and load the state of an instance, one in each file, behind one protocol."""
