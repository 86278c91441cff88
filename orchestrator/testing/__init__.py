"""What a user's own tests need: virtual time."""
