"""The identity of a host: the facts that must not change within a cell."""

from collections.abc import Mapping
from typing import Any

from orchestrator.host.facts import HostFacts

#: Names of the facts. A host on which one of them differs is another host: what was counted
#: on one says nothing about the other.
IDENTITY = ("kernel", "kernel_build", "cpu", "microcode", "kvm_modules", "qemu")


def differing_facts(before: HostFacts, now: HostFacts) -> Mapping[str, tuple[Any, Any]]:
    """Return the facts of the identity that differ, before and now, by their names."""
    facts = {name: (getattr(before, name), getattr(now, name)) for name in IDENTITY}
    return {name: pair for name, pair in facts.items() if pair[0] != pair[1]}
