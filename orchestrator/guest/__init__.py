"""The programs that run in the VM and tick."""
