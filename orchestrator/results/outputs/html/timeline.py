"""The timeline of a hang: from its save to its rescue, with every look at its place."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from orchestrator.findings.evidence import LookTaken, VcpuEvidence
from orchestrator.results.evidence import Seen
from orchestrator.results.outputs.html.numbers import duration, moment
from orchestrator.results.outputs.html.view import Step

#: Share of the width that the time from the save to the load may take, in percent. A save may
#: have been loaded for minutes before the load that hung.
_MOST_BEFORE = 14.0

#: Least width of a bar, in percent.
_LEAST = 0.6

#: Most ticks that are shown one by one.
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class _Event:
    kind: str
    began_ns: int
    ended_ns: int
    name: str
    said: str = ""


def timeline(seen: Seen) -> Sequence[Step]:
    """Return the steps of a hang in their order; none if nobody noted its times."""
    trial = seen.trial
    if not (trial.began_ns and seen.evidence.began_ns):
        return ()
    events = sorted(_events(seen), key=lambda each: (each.began_ns, each.ended_ns))
    zero = trial.resumed_ns or trial.began_ns
    place = _scale(seen, max(each.ended_ns for each in events))
    return [
        Step(
            each.kind,
            moment(each.began_ns - zero),
            each.name,
            each.said,
            left=min(place(each.began_ns), 100 - _LEAST),
            width=max(place(each.ended_ns) - place(each.began_ns), _LEAST),
        )
        for each in events
    ]


def _scale(seen: Seen, end_ns: int) -> Callable[[int], float]:
    """Return where a moment is on the timeline, in percent.

    The time before the load is shortened if the save is old; the rest is to scale.
    """
    load_ns = seen.trial.began_ns
    begin_ns = min(seen.save.saved_ns or load_ns, load_ns)
    whole_ns = max(end_ns - begin_ns, 1)
    before = min((load_ns - begin_ns) / whole_ns * 100, _MOST_BEFORE)

    def place(at_ns: int) -> float:
        if at_ns < load_ns:
            return round(max(at_ns - begin_ns, 0) / max(load_ns - begin_ns, 1) * before, 2)
        return round(before + (at_ns - load_ns) / max(end_ns - load_ns, 1) * (100 - before), 2)

    return place


def _events(seen: Seen) -> Iterator[_Event]:
    save, trial, evidence = seen.save, seen.trial, seen.evidence
    if save.saved_ns:
        at = f"at phase {save.first.phase:.2f} of the timer's period"
        yield _Event("save", save.saved_ns, save.saved_ns, f"Saved ({save.tag})", at)
    resumed_ns = trial.resumed_ns or evidence.began_ns
    took = duration(resumed_ns - trial.began_ns)
    yield _Event("load", trial.began_ns, resumed_ns, "Loaded, and let run on", f"in {took}")
    yield from _ticks(seen)
    last_ns = max((each.at_ns for part in trial.vcpus for each in part.heard), default=resumed_ns)
    if trial.resumed_ns and last_ns < evidence.began_ns and evidence.looks:
        silent = duration(evidence.began_ns - last_ns)
        yield _Event(
            "silence", last_ns, evidence.began_ns, "No tick",
            f"for {silent}: the silence is proven, then the guest is left alone",
        )  # fmt: skip
    for look in evidence.looks:
        yield _Event("look", look.began_ns, look.ended_ns, look.name, _said(look, evidence.vcpus))
    for part in evidence.vcpus:
        if part.ticked_ns is not None:
            vcpu = f" on vCPU {part.vcpu}" if len(evidence.vcpus) > 1 else ""
            yield _Event("tick", part.ticked_ns, part.ticked_ns, f"A tick{vcpu}", _rescued(part))
    yield _Event("end", evidence.ended_ns, evidence.ended_ns, "The examination ends")


def _ticks(seen: Seen) -> Iterator[_Event]:
    parts = seen.trial.vcpus
    for part in parts:
        vcpu = f" on vCPU {part.vcpu}" if len(parts) > 1 else ""
        for heard in part.heard[:_MOST_TICKS]:
            name = f"Tick {heard.tick.sequence}{vcpu}"
            yield _Event("tick", heard.at_ns, heard.at_ns, name)


def _said(look: LookTaken, parts: Sequence[VcpuEvidence]) -> str:
    """Return what a look brought about."""
    cured = [part for part in parts if part.cured_by == look.name]
    if cured:
        return "ticks came back"
    if look.rearms:
        rescued = any(part.rescued for part in parts)
        return "the guest arms its timer again: ticks come back" if rescued else "no tick after it"
    return ""


def _rescued(part: VcpuEvidence) -> str:
    if part.rescued:
        return "the timer works again: it had lost one interrupt"
    if part.cured_by is not None:
        return f"brought back by {part.cured_by}"
    return "unaided, before anybody looked" if part.unaided else ""
