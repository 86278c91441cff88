"""Statistics of rare losses, as pure functions of counts."""
