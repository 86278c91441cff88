"""`losttick fleet`: a plan on many hosts and kernels, and one answer."""
