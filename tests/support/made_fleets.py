"""What the hosts of made fleets tested, with losses drawn at rates of the test's choice."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from orchestrator.fleet.tested import Tested
from tests.support.simulated_campaigns import Draw, alike
from tests.support.simulated_saves import draw_saves

#: The loss rate of a host under a kernel; or what draws the rates of its saves.
Rates = Callable[[str, str], "float | Draw"]


def fleet(
    rates: Rates,
    *,
    hosts: Sequence[str],
    kernels: Sequence[str] = ("old", "new"),
    cells: Sequence[str] = ("cell",),
    loads: Callable[[str, str], int] = lambda host, kernel: 100,
    loads_per_save: int = 25,
    stop_after: int | None = None,
    rule_out: float = 0.01,
    seed: int = 1,
) -> Iterable[Tested]:
    """Yield what each host tested under each kernel.

    Args:
        rates: the loss rate of a host under a kernel.
        hosts: their names.
        kernels: their names.
        cells: their names.
        loads: the planned loads of a cell, of a host under a kernel.
        loads_per_save: most loads of a save.
        stop_after: losses after which a cell ends.
        rule_out: the loss rate that the plan wants ruled out.
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    for host in hosts:
        for kernel in kernels:
            rate = rates(host, kernel)
            drawn = draw_saves(
                rate if callable(rate) else alike(rate), planned=loads(host, kernel),
                loads_per_save=loads_per_save, stop_after=stop_after, size=len(cells),
                seed=int(random.integers(2**31)),
            )  # fmt: skip
            for place, cell in enumerate(cells):
                yield made(host, kernel, drawn.of(place), cell=cell, rule_out=rule_out)


def made(
    host: str, kernel: str, saves: Sequence[tuple[int, int]], *, cell: str = "cell",
    rule_out: float = 0.01, blind: str = "",
) -> Tested:  # fmt: skip
    """Return what a host tested, from the loads and the losses of its saves."""
    loads, lost = (sum(each) for each in zip(*saves, strict=True))
    return Tested(host, kernel, cell, loads, lost, 0, tuple(saves), rule_out, blind)
