"""Finds out whether a guest ticks on a host, by running it. Files and flags prove nothing."""

import weakref
from dataclasses import dataclass

from orchestrator.errors import LosttickError
from orchestrator.guest.apic import Apic
from orchestrator.guest.config import DEFAULT_TIMER, GuestConfig
from orchestrator.guest.lines import Tick
from orchestrator.host.protocol import Host
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from orchestrator.vm.port import ConsoleClosedError
from orchestrator.vm.starved import GuestStarvedError, why_starved

#: Ticks to wait for. The second one shows that the guest has re-armed its timer.
TICKS = 3

#: Period of guests whose period does not matter.
PERIOD_NS = 5_000_000


@dataclass(frozen=True, slots=True)
class Tryout:
    """Whether a guest ticked."""

    why_not: str | None
    """Why the guest does not tick; None if it does."""
    error: LosttickError | None = None
    """The error that kept the guest from ticking; None if a guest ran, but did not tick."""
    trace: str | None = None
    """The kernel's trace of the ticks, if tracefs is usable."""


async def why_not(
    host: Host,
    accel: Accel,
    mode: str = DEFAULT_TIMER,
    apic: Apic = Apic.XAPIC,
) -> str | None:
    """Return None if the default guest ticks, else why it does not."""
    guest = GuestConfig(mode=mode, apic=apic, period_ns=PERIOD_NS)
    return (await try_out(host, InstanceConfig(accel, guest))).why_not


#: The configurations whose guest has ticked, by host.
_TICKED: weakref.WeakKeyDictionary[Host, list[InstanceConfig]] = weakref.WeakKeyDictionary()


async def try_out(host: Host, config: InstanceConfig) -> Tryout:
    """Run a guest for a few ticks."""
    tried = await _run(host, config)
    if tried.why_not is None:
        _ticked(host).append(config)
    return tried


async def try_once(host: Host, config: InstanceConfig) -> Tryout:
    """Run a guest for a few ticks, unless an equal one has ticked on this host before."""
    return Tryout(None) if config in _ticked(host) else await try_out(host, config)


def _ticked(host: Host) -> list[InstanceConfig]:
    try:
        return _TICKED.setdefault(host, [])
    except TypeError:  # no dictionary can hold this host: each of its guests is tried anew
        return []


async def _run(host: Host, config: InstanceConfig) -> Tryout:
    period_ns = config.guest.period_ns
    try:
        async with launch(host, config) as instance:
            deadline_ns = host.deadlines.first_ticks_ns + 2 * period_ns
            for vcpu in [*instance.vcpus] * TICKS:
                arrived = await instance.console.next_line(deadline_ns, vcpu)
                if arrived is None:
                    return await _silent(host, instance)
                if not isinstance(arrived[0], Tick):
                    return Tryout(f"the guest said {arrived[0]}")
            tracer = instance.process.tracer
            return Tryout(None, trace=await tracer.read() if tracer else None)
    except ConsoleClosedError as error:
        return Tryout("QEMU ended while its guest ticked", error)
    except LosttickError as error:
        return Tryout("; ".join(str(error).splitlines()), error)


async def _silent(host: Host, instance: Instance) -> Tryout:
    """Return that the guest does not tick, or that the host does not let it run."""
    seen = "the guest started, but does not tick"
    passed_ns = host.clock.now_ns() - instance.started_ns
    if starved := await why_starved(instance.process, instance.facts, passed_ns):
        error = GuestStarvedError(seen, starved)
        return Tryout(str(error), error)
    return Tryout(f"{seen} (QEMU says: {await instance.run_state()})")
