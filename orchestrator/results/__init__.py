"""Results of runs, read from their folders, in the forms that people and programs read."""
