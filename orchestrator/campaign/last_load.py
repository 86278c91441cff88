"""How long a guest is followed after the last load of a save.

A load can break the timer so that it stops some ticks later. The next save would then be of a
timer that is dead and looks armed.
"""

import random

#: Fewest and most ticks to follow.
TICKS = (4, 16)


def ticks_after_last_load(seed: int, cell: str, save: str) -> int:
    """Draw the number of ticks to follow after the last load of a save.

    Each save has a generator of its own, so that the phases of the saves do not depend on
    these numbers.
    """
    return random.Random(f"{seed}/{cell}/follow/{save}").randint(*TICKS)
