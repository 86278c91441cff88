"""QEMU's monitor, with a deadline on every command."""
