"""What was found, as data: outcome, cause, save and evidence."""
