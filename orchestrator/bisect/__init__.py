"""Finds the first kernel or QEMU of a history that loses ticks, or the first fixed one."""
