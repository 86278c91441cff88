"""losttick: does this host lose LAPIC timer interrupts when a snapshot is loaded?"""

__version__ = "0.1.0"
