"""Saves with a chosen number of loads, the last one lost or not."""

from orchestrator.stats.save_effect import BySave


def by_save(*saves: int, loads_per_save: int = 25) -> BySave:
    """Return saves of so many loads; a negative number says that the last was lost."""
    counted = BySave(loads_per_save)
    for loads in saves:
        counted.begin()
        for load in range(abs(loads)):
            counted.count(lost=loads < 0 and load == -loads - 1)
    return counted
