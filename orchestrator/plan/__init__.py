"""Plans: a TOML file of axes, and the cells that the axes span."""
