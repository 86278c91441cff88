"""What Sphinx is taught about losttick: its pages, its commands and its public names."""
