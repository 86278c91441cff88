"""`losttick lab`: the real bug, on a machine without Intel hardware."""
