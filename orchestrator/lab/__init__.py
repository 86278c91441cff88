"""What a lab is built from."""
