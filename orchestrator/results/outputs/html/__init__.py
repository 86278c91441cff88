"""The HTML report: one file without JavaScript that needs no network."""
