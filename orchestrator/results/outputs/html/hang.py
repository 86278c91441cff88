"""A hang on the page: its diagnosis, its timeline, and what was read of the guest."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from orchestrator.results.evidence import EvidenceFiles, Seen, read_evidence
from orchestrator.results.outputs.html.timeline import timeline
from orchestrator.results.outputs.html.trials import Hang
from orchestrator.results.outputs.html.view import HangView, Table, Text
from orchestrator.results.sentence import sentence

#: Most characters of a text that the page holds, and most of one line.
_MOST_TEXT = 3000
_MOST_LINE = 300

#: Texts of a hang of one vCPU: two of its state, the QMP log, the trace and the console.
_TEXTS = 5


def hang_view(
    folder: Path, cell: str, hang: Hang, id_: str, target: Path | None, *, text: int, opened: bool
) -> HangView:
    """Return a hang for the page.

    Args:
        folder: the output folder of the run.
        cell: the name of the cell.
        hang: the trial.
        id_: the id of the hang on the page.
        target: the file that will hold the page; None for standard output.
        text: characters of registers, consoles and the like.
        opened: whether the page shows all of it at once.
    """
    trial = hang.trial
    place = trial.evidence or ""
    files = read_evidence(folder, place)
    diagnosis = trial.diagnosis
    steps = timeline(files.seen) if files.seen else ()
    return HangView(
        id=id_,
        title=f"Trial {trial.number or hang.number:,}",
        cell=cell,
        outcome=str(trial.outcome),
        cause=str(diagnosis.cause) if diagnosis else "",
        sentence=diagnosis.sentence if diagnosis else sentence(trial.why),
        place=place,
        link=_link(folder / place, target) if not files.fault.startswith("the journal") else "",
        steps=steps,
        untimed="" if steps else _untimed(files),
        tables=tuple(_tables(files.seen)) if files.seen else (),
        texts=tuple(_texts(files, place, min(_MOST_TEXT, text // _TEXTS))),
        opened=opened,
    )


def _untimed(files: EvidenceFiles) -> str:
    if files.seen is None:
        return f"The evidence can't be shown: {files.fault}."
    return "There is no timeline: losttick did not note the times of looks when this run was made."


def _link(place: Path, target: Path | None) -> str:
    """Return the way from the page to an evidence folder; nothing if there is none to go to.

    A run in a bundle has no folder.
    """
    if target is None or not place.is_dir():
        return ""
    way = os.path.relpath(place.absolute(), target.absolute().parent)
    return quote(os.fsencode(way)) + "/"


def _tables(seen: Seen) -> Iterator[tuple[str, Table]]:
    whole = seen.evidence
    several = len(whole.vcpus) > 1
    for part in whole.vcpus:
        of = f" of vCPU {part.vcpu}" if several else ""
        if part.testimonies:
            yield f"Testimony{of}: the LAPIC as the guest itself reads it", Table(
                ("NMI", "LVTT", "TMICT", "TMCCT", "IRR", "ISR", "IF", "ticks", "arms"),
                [
                    (str(n), f"{each.lvtt:#x}", f"{each.tmict:,}", f"{each.tmcct:,}",
                     f"{each.irr:#x}", f"{each.isr:#x}", str(int(each.interrupt_flag)),
                     f"{each.ticks:,}", f"{each.arms:,}")
                    for n, each in enumerate(part.testimonies[:8], 1)
                ],
                frozenset(range(1, 9)),
            )  # fmt: skip
        saved = next((each for each in seen.save.vcpus if each.vcpu == part.vcpu), None)
        if saved and part.lapic:
            now = part.lapic
            yield f"The timer{of}, as it was saved and at the hang", Table(
                ("moment", "LVTT", "initial count", "pending", "in service"),
                [
                    ("saved", f"{saved.lvtt:#x}", f"{saved.tmict:,}", _vectors(saved.irr),
                     _vectors(saved.isr)),
                    ("at the hang", f"{now.lvtt:#x}", f"{now.tmict:,}",
                     _vectors(sorted(now.irr)), _vectors(sorted(now.isr))),
                ],
            )  # fmt: skip


def _vectors(vectors: "tuple[int, ...] | list[int]") -> str:
    return ", ".join(f"{each:#x}" for each in vectors) or "none"


def _texts(files: EvidenceFiles, place: str, most: int) -> Iterator[Text]:
    seen = files.seen
    for part in seen.evidence.vcpus if seen else ():
        of = f" of vCPU {part.vcpu}" if seen and len(seen.evidence.vcpus) > 1 else ""
        yield from _text(f"info lapic{of}", part.lapic_text, place, most)
        yield from _text(f"info registers{of}", part.registers_text, place, most)
    if seen:
        yield from _text("QMP log", _qmp_log(seen), place, most, end=True)
    yield from _text("Kernel trace of the load", files.trace, place, most)
    yield from _text("End of the console", files.console, place, most, end=True)


def _text(title: str, text: str, place: str, most: int, *, end: bool = False) -> Iterator[Text]:
    """Yield at most so many characters of a text: its beginning, or its end."""
    if not text.strip():
        return
    lines = [_short(line) for line in text.strip("\n").split("\n")]
    kept, size = [], 0
    for line in reversed(lines) if end else lines:
        size += len(line) + 1
        if size > most:
            break
        kept.append(line)
    left_out = len(lines) - len(kept)
    note = ""
    if left_out:
        which = "first" if end else "last"
        note = f"The {which} {left_out:,} lines are left out here; {place} has all of them."
    yield Text(title, "\n".join(reversed(kept) if end else kept), note)


def _short(line: str) -> str:
    line = line.rstrip("\r").expandtabs()
    if len(line) <= _MOST_LINE:
        return line
    return f"{line[:_MOST_LINE]} [… {len(line) - _MOST_LINE:,} more characters]"


def _qmp_log(seen: Seen) -> str:
    """Return the messages, with their times after the guest ran on."""
    zero = seen.trial.resumed_ns
    lines = []
    for entry in seen.evidence.qmp_log:
        at, way = entry.get("t_ns"), entry.get("way")
        ms = f"{(at - zero) / 1e6:+10.1f} ms" if isinstance(at, int) and zero else ""
        arrow = "→" if way == "sent" else "←"
        lines.append(f"{ms} {arrow} {json.dumps(entry.get('message'), ensure_ascii=False)}".strip())
    return "\n".join(lines)
