"""`losttick lab`: the real bug, on a computer without Intel hardware."""
