"""Programs that cannot outlive losttick."""
