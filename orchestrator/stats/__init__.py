"""The statistics of rare losses: pure functions of counts."""
