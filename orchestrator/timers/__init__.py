"""What makes the guest tick, one file a timer."""
