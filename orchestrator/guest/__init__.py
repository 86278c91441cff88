"""What runs in the VM and prints ticks."""
