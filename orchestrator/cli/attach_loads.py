"""The trials of `losttick attach --loads`: asks first, then saves and loads a guest that runs."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import typer

from orchestrator.attached.console import AliveLines, listening
from orchestrator.attached.errors import TargetError, UnfitGuestError
from orchestrator.attached.fitness import Fit, require_fit
from orchestrator.attached.target import Target
from orchestrator.attached.trials import Trials, Watching, try_loads
from orchestrator.attached.verdict import AttachResult, conclude
from orchestrator.bugs.exposure import ExposureState
from orchestrator.cli.asking import NO_INPUT, is_yes, prompt, typed
from orchestrator.cli.exits import ExitCode, result_exit
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import say
from orchestrator.host.facts import HostFacts
from orchestrator.journal.plain import plain
from orchestrator.look.gather import look
from orchestrator.look.look import Condition
from orchestrator.look.whole import revive
from orchestrator.results.sentence import sentence
from orchestrator.verdict.verdict import Ended, Verdict

#: How long KVM's counters are watched at first, and if that shows no life.
WINDOWS_NS = (1_000_000_000, 5_000_000_000)

#: How long a console may take to show its first line.
CONSOLE_NS = 30_000_000_000

#: A console that is silent for so many times its longest gap before is silent.
_GAPS = 5

#: Gaps that are measured.
_GAPS_SEEN = 3

#: Least time for which a console must be silent.
_LEAST_SILENCE_NS = 3_000_000_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for."""

    loads: int
    console: str | None
    alive: str | None
    confidence: float
    yes: bool
    as_json: bool


async def run_loads(target: Target, facts: HostFacts, wanted: Wanted) -> ExitCode:
    """Try loads in a guest that runs, and print what became of it.

    Raises:
        UnfitGuestError: loads can't be tried here; nothing was touched.
        TargetError: the console can't be used, or nobody can be asked.
        PutBackError: the guest could not be left as it was found.
        MonitorError: QEMU failed.
    """
    fit = await require_fit(target)
    async with _console(target, wanted) as console:
        watching = await _baseline(target, facts, console)
        if not wanted.yes:
            await _ask(target, fit, watching, wanted)
        trials = await try_loads(target, wanted.loads, watching, say)
    result = conclude(trials, watching.exposure, wanted.confidence)
    if wanted.as_json:
        found = plain(result) | {
            "exposure": plain(watching.exposure),
            "trials": plain(trials),
            "revive": _help(trials, result),
        }
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(Screen(), trials, result, watching)
    return result_exit([Ended(result.verdict)])


@contextlib.asynccontextmanager
async def _console(target: Target, wanted: Wanted) -> AsyncIterator[AliveLines | None]:
    if wanted.console is None or wanted.alive is None:
        yield None
        return
    async with listening(wanted.console, wanted.alive, target.monitor.clock) as lines:
        yield lines


async def _baseline(target: Target, facts: HostFacts, console: AliveLines | None) -> Watching:
    """Return how to see whether the guest is alive, after it was seen alive so.

    Raises:
        UnfitGuestError: it was not.
    """
    watching = Watching(
        target.exposure(facts),
        WINDOWS_NS[0],
        console,
        paravirtual="kvm_pvm" in facts.kvm_modules,
        lapic_is_qemus=target.irqchip_off or None,
    )
    if console:
        return replace(watching, limit_ns=await _console_limit_ns(target, console))
    say("looking whether the guest is alive")
    for window_ns in WINDOWS_NS:
        seen = await look(
            target.qemu,
            watching.exposure,
            window_ns=window_ns,
            lapic_is_qemus=watching.lapic_is_qemus,
            paravirtual=watching.paravirtual,
        )
        if seen.condition is Condition.ALIVE and not any(vcpu.late for vcpu in seen.vcpus):
            return replace(watching, window_ns=window_ns)
    raise UnfitGuestError(
        f"trying loads in {target.name}: before any load the guest shows no life that can be seen "
        f"from outside ({seen.condition}. {seen.why}), so nobody could tell whether a load froze "
        "it. Give it something to do, or name a console on which it prints by itself (--console "
        "and --alive)."
    )


async def _console_limit_ns(target: Target, console: AliveLines) -> int:
    """Return how long the console may be silent, by its gaps before.

    Raises:
        UnfitGuestError: no line came that matches.
    """
    clock = target.monitor.clock
    say("waiting for lines on the console that match --alive")
    longest = 0
    for _ in range(_GAPS_SEEN):
        console.forget()
        began_ns = clock.now_ns()
        if not await console.came(CONSOLE_NS):
            raise UnfitGuestError(
                f"trying loads in {target.name}: no line on the console matched --alive in "
                f"{CONSOLE_NS / 1e9:g} s. Name a line that the guest prints again and again by "
                "itself; what it prints as an answer to input is no sign of life."
            )
        longest = max(longest, clock.now_ns() - began_ns)
    return max(_GAPS * longest, _LEAST_SILENCE_NS)


async def _ask(target: Target, fit: Fit, watching: Watching, wanted: Wanted) -> None:
    """Say what will be done, and ask whether it may be.

    Raises:
        TargetError: nobody can be asked, or the answer is not yes.
    """
    disks = ", ".join(disk.name for disk in fit.disks)
    risk = (
        "This host may have the bug. A guest that a load freezes stays frozen: a further load on "
        "this host does not help, only a reset does."
        if watching.exposure.state is not ExposureState.NOT_EXPOSED
        else "A guest that a load freezes may stay frozen until it is reset."
    )
    lines = (
        f"losttick will save the guest behind {target.name} and load it {wanted.loads} times.",
        f"- It takes a snapshot of its own on every writable disk ({disks}), and deletes it "
        f"afterwards. The {len(fit.snapshots)} snapshots that are there stay.",
        "- At each load the guest goes back to the moment of the save. Everything that it did "
        "since then, on its disks too, is undone. Its network peers see connections stall or "
        "break.",
        f"- {risk}",
    )
    for line in lines:
        say(line)
    if sys.stdin is None or not sys.stdin.isatty():
        why = "because standard input is no terminal" if sys.stdin else NO_INPUT
        raise TargetError(
            f"trying loads: nobody can be asked whether losttick may do so, {why}. Nothing was "
            "touched. Give --yes to allow it."
        )
    prompt("Shall losttick do so?")
    if not is_yes(await _typed()):
        raise TargetError("trying loads: the answer was not yes. Nothing was touched.")


async def _typed() -> str:
    """Return the line that somebody types, without keeping a Ctrl-C waiting; empty at its end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(sys.stdin, ready.set)
    try:
        await ready.wait()
        return typed()
    finally:
        loop.remove_reader(sys.stdin)


def _help(trials: Trials, result: AttachResult) -> list[str]:
    if not trials.loads or trials.loads[-1].condition is Condition.ALIVE:
        return []
    return list(revive(trials.loads[-1].condition))


def _print(screen: Screen, trials: Trials, result: AttachResult, watching: Watching) -> None:
    table = Table(("load", "save", "stood still", "guest", "grounds"))
    for number, load in enumerate(trials.loads, 1):
        still = f"{load.still_ns / 1e9:.2f} s"
        table.add(str(number), str(load.save), still, str(load.condition), load.why)
    screen.table(table)
    screen.space()
    screen.prose(f"Verdict: {result.verdict}. {sentence(result.why)}")
    if result.loads > result.unknown:
        screen.prose(_rate(result))
    screen.prose(f"The APICv bug on this host: {watching.exposure.state}. "
                 f"{sentence(watching.exposure.why)}")  # fmt: skip
    if trials.back:
        screen.prose(sentence(trials.back))
    frozen = bool(trials.loads) and trials.loads[-1].condition.frozen
    end = "The guest runs, but is frozen" if frozen else "The guest runs"
    screen.prose(f"{end}; the snapshot {trials.snapshot} is deleted.")
    if steps := _help(trials, result):
        screen.prose("What helps:")
        for step in steps:
            screen.prose(f"- {step}")


def _rate(result: AttachResult) -> str:
    """Return what the counts say about the rate of freezes."""
    rate = result.rate
    confidence = f"{rate.confidence * 100:g} %"
    if result.verdict is Verdict.CLEAN and result.over_saves is not None:
        return (
            f"At {confidence} confidence this rules out that more than {rate.high * 100:.3g} % of "
            f"loads freeze this guest, if loads are alike; if freezes depend on the moment of the "
            f"save, {result.saves} save(s) rule out more than {result.over_saves * 100:.3g} % only."
        )
    return (
        f"Frozen after {result.frozen} of {result.loads} loads: between {rate.low * 100:.3g} % and "
        f"{rate.high * 100:.3g} % of loads of such saves, each bound at {confidence} confidence."
    )
