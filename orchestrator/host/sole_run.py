"""The only run of losttick on this host, among those that ask for that.

A fleet's runs would make each other's ticks late. As a seat on a CPU (`cpu_seats`), the right to be
the only run is a Unix socket with an abstract name, which the kernel frees when its process ends.
"""

import contextlib
from collections.abc import Iterator

from orchestrator.errors import TransientError
from orchestrator.host.cpu_seats import hold, how_to_find

#: The name that stands for the host. It is the same for every user.
NAME = "losttick/sole-run"


class BusyHostError(TransientError):
    """Another run has the host."""


@contextlib.contextmanager
def sole_run(name: str = NAME) -> Iterator[None]:
    """Be the host's only run that asks for that, for as long as the context lasts.

    Raises:
        BusyHostError: there is one already.
    """
    held = hold(name)
    if held is None:
        raise BusyHostError(
            "starting the run: another run with --exclusive has this host, and the ticks of one "
            "would make those of the other late. Nothing was run. Run again when it has ended: "
            f"{how_to_find(name)}."
        )
    with held:
        yield
