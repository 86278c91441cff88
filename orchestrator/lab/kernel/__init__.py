"""Kernels to boot in a lab, and edits of their KVM modules."""
