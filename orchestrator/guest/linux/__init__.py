"""Linux as a guest: a kernel, and a first process that ticks."""
