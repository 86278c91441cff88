"""What to test: a TOML file of axes, and the cells that they span."""
