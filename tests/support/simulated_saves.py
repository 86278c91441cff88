"""The saves of simulated campaigns: the loads and losses of each save, without each load.

`saves_of` reads them from campaigns that were simulated load by load. `draw_saves` draws whole
saves, which is ten times as quick; a test holds it to the same distribution.
"""

from dataclasses import dataclass

import numpy as np

from orchestrator.journal.counts import MAX_ATTEMPTS
from tests.support.simulated_campaigns import (
    KNOWN,
    LOADS,
    LOST,
    NEW,
    PLANNED,
    Campaigns,
    Draw,
    Observer,
)

#: An observer that does not err.
EXACT = Observer()


@dataclass
class Saves:
    """The saves of many campaigns: a row for each, padded with saves of no load."""

    loads: np.ndarray
    lost: np.ndarray

    def of(self, campaign: int) -> tuple[tuple[int, int], ...]:
        rows = zip(self.loads[campaign].tolist(), self.lost[campaign].tolist(), strict=True)
        return tuple(pair for pair in rows if pair[0])


def saves_of(campaigns: Campaigns) -> Saves:
    """Return the saves of campaigns, without folding their records one by one."""
    steps, size = campaigns.steps, campaigns.steps.shape[1]
    number = np.cumsum((steps & NEW) > 0, axis=0) - 1
    width = int(number.max()) + 1
    place = number + np.arange(size) * width
    found = [
        np.bincount(place[(steps & bit) > 0], minlength=size * width).reshape(size, width)
        for bit in (KNOWN, LOST)
    ]
    return Saves(found[0], found[1])


def draw_saves(
    draw: Draw,
    observer: Observer = EXACT,
    *,
    planned: int = PLANNED,
    loads_per_save: int = LOADS,
    seed: int = 1,
    size: int,
    stop_after: int | None = None,
) -> Saves:
    """Draw campaigns as `simulate` does, a save at a time; see there for the arguments."""
    rng = np.random.default_rng(seed)
    found = np.zeros(size, dtype=int)
    trials, tries = np.zeros(size, dtype=int), np.zeros(size, dtype=int)
    on = np.arange(size)
    all_loads, all_lost = [], []
    while len(on):
        rate = draw(rng, len(on))
        really, wrongly = rate * (1 - observer.missed), (1 - rate) * observer.misread
        loss, stall = really + wrongly, observer.stall
        ends = stall + (1 - stall) * loss
        with np.errstate(divide="ignore", invalid="ignore"):
            # The attempt that ends the save, by a stall or a loss; never, if nothing can.
            drawn = np.log(rng.random(len(on))) / np.log1p(-ends)
            stalls = rng.random(len(on)) * ends < stall
            proven = really * (1 - observer.no_testimony) + wrongly * observer.false_testimony
            testifies = rng.random(len(on)) * loss < proven
        at = np.where(ends > 0, np.minimum(np.nan_to_num(np.ceil(drawn), nan=1.0), 1e9), 1e9)
        at = np.maximum(at, 1).astype(int)
        room = np.minimum(loads_per_save, planned - trials[on])
        whole = at > room
        stalled, lost = ~whole & stalls, ~whole & ~stalls
        loads = np.where(whole, room, at - stalled)
        # A trial whose attempts all stall is counted, and was no load.
        tries[on] = np.where(stalled, np.where(loads > 0, 1, tries[on] + 1), 0)
        given_up = tries[on] == MAX_ATTEMPTS
        tries[on[given_up]] = 0
        trials[on] += loads + given_up
        found[on] += lost & testifies
        rows = np.zeros((2, size), dtype=int)
        rows[:, on] = loads, lost
        all_loads.append(rows[0])
        all_lost.append(rows[1])
        on = on[(trials[on] < planned) & (found[on] < (stop_after or planned + 1))]
    return Saves(np.array(all_loads).T, np.array(all_lost).T)
