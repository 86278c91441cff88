"""The snapshot methods of a host."""

import contextlib

from orchestrator.host.protocol import Host
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import MethodMissingError, snapshots


def methods(host: Host) -> tuple[Method, ...]:
    """Return the methods that a host's QEMU has."""
    found = []
    for method in Method:
        with contextlib.suppress(MethodMissingError):
            snapshots(method, host.facts.need_qemu())
            found.append(method)
    return tuple(found)
