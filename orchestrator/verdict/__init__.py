"""From counts to verdicts."""
