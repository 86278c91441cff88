"""Programs that cannot outlive us."""
