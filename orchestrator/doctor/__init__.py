"""What this machine is, and what would mend it."""
