"""What a result means, and what to do about it, for each kind of reader."""
