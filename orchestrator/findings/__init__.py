"""The findings of a trial, as data: outcome, cause, save and evidence."""
