"""A booted lab as a host on which QEMU runs."""
