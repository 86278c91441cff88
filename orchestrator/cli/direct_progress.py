"""How far each host of a direct test is, and what a person sees of it if the test is cut short."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.cli.live import Show
from orchestrator.errors import LosttickError
from orchestrator.results.direct import read_direct_result
from orchestrator.verdict.direct import HostResult


class DirectProgress:
    """The progress of a direct test."""

    def __init__(self, show: Show) -> None:
        self._show = show
        self._done: dict[str, tuple[int, int]] = {}
        """How many trials of how many each host has done."""

    @contextlib.contextmanager
    def bar(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        """Give a host a row.

        Yields:
            The function to call with the number of trials done.
        """
        self._done[name] = (0, total)
        with self._show.bar(f"{name}: {total} trials") as row:

            def progress(done: int) -> None:
                done = min(done, total)  # the control's trials are not among them
                self._done[name] = (done, total)
                row(done, total)

            yield progress

    def cut_short(self, folder: Path) -> None:
        """Print what was counted of each host, by the journal, and where that is."""
        with contextlib.suppress(LosttickError, OSError):  # then the journal has nothing to show
            for host in read_direct_result(folder).hosts:
                self._show.say(self._so_far(host))
        self._show.say_place(folder)

    def _so_far(self, host: HostResult) -> str:
        counted = [
            f"{each.lost} of {each.trials} lost at TMCCT {each.tmcct_ns} ns"
            for each in (found.series for found in host.series)
        ]
        done, total = self._done.get(host.name, (0, 0))
        done = max(done, sum(found.series.trials for found in host.series))
        if not total:
            return f"{host.name}: not begun"
        shown = ", ".join(counted) or "no series is counted yet"
        return f"{host.name}: {done}/{total} trials, {shown}"
