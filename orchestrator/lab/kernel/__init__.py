"""Kernels to boot in a lab, where they come from, and edits of their KVM modules."""
