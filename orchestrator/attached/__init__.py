"""Uses a virtual machine that somebody else started: looks at it, or loads snapshots in it."""
