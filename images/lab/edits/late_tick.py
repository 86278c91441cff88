"""Lets a restored one-shot timer fire 1.4 periods after the restore."""

from functools import partial

from kernel_source import LAPIC, edit
from shift_first_tick import shift

if __name__ == "__main__":
    edit(LAPIC, partial(shift, percent=140))
