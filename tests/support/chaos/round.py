"""One round: a campaign that a seed draws, its faults, and what came of it."""

import random
import shutil
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.campaign.resume import read_run
from orchestrator.results.result import read_result
from tests.support.chaos import checks
from tests.support.chaos.faults import INTERRUPTED, UNANSWERED, Fault, draw
from tests.support.chaos.place import Place, new_place
from tests.support.chaos.session import Session

#: Loads of each cell. So many rule out the rate that `RULE_OUT` names.
PLANNED = 60
RULE_OUT = 0.05

#: Sessions of one run, and the seconds that each of them may take without a fault. A busy host
#: makes a run pause for up to half a minute.
MOST_SESSIONS, LONGEST_S = 25, 240

#: Seconds to wait for a fault's step; then the fault comes at once.
STEP_S = 2

#: The places of a run at which faults come: a moment after the start, or the name of a step and
#: how many such steps pass before, at most.
START = "start"
STEPS = {START: 1, "qemu": 1, "save": 4, "trial": 8, "control": 1}
WEIGHTS = (2, 2, 2, 6, 1)

AXES: Mapping[str, Sequence[str]] = {
    "--method": ["hmp", "hmp", "jobs", "exec", "loadvm", "incoming"],
    "--mode": ["one-shot", "one-shot", "periodic"],
    "--loads-per-save": ["1", "5", "25"],
    "--vcpus": ["1", "1", "2"],
    "--wait": ["busy", "busy", "halt"],
}


@dataclass(frozen=True)
class Blow:
    """A fault, and when it comes."""

    fault: Fault
    step: str
    times: int
    delay_s: float

    @property
    def when(self) -> str:
        """When it comes, in words."""
        place = self.step if self.step == START else f"{self.step} {self.times}"
        return f"{place} + {self.delay_s * 1000:.0f} ms"


@dataclass
class Round:
    """The faults of a round, and what came of them."""

    number: int
    options: tuple[str, ...]
    faults: Counter[str] = field(default_factory=Counter)
    blows: list[str] = field(default_factory=list)
    """Each fault in words."""
    resumed: int = 0
    verdict: str = ""
    trials: int = 0
    wrong: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Sessions that hung, or ended as no fault explains."""
    took_s: float = 0.0
    paused_s: float = 0.0
    """How much of that its run paused, because of a busy host or a full disk."""
    slowest_end_s: float = 0.0
    """The longest time from an interrupt to the end of its session."""

    def line(self) -> str:
        """Return the round as one line."""
        faults = "; ".join(self.blows) or "no fault"
        return (
            f"round {self.number} ({' '.join(self.options)}): {faults} -> {self.verdict}, "
            f"{self.trials} trials, resumed {self.resumed} times, in {self.took_s:.0f} s, of which "
            f"it paused {self.paused_s:.0f} s"
        )

    def troubles(self) -> list[str]:
        """Return all that was not as it should be."""
        return [*self.wrong, *self.twice, *self.left, *self.unfinished, *self.broken]


def run_round(parent: Path, seed: int, number: int, accel: str) -> Round:
    """Run the round of a seed that has this number."""
    rng = random.Random(f"{seed}/{number}")
    options = ["--accel", accel, "--seed", str(rng.randrange(1 << 32))]
    for name, values in AXES.items():
        options += [name, rng.choice(values)]
    done, began = Round(number, tuple(options)), time.monotonic()
    with new_place(parent, f"round-{number}") as place:
        blows = deque(_drawn(rng, small_disks=place.small) for _ in range(rng.randrange(6, 18)))
        bereft = _to_its_end(place, done, blows, rng)
        out = place.results / "out"
        if (out / "journal.jsonl").exists():
            result = read_result(out)
            done.verdict = result.verdict
            done.trials = sum(cell.counts.trials for cell in result.cells)
            done.wrong = checks.wrong_verdicts(result)
            if done.wrong:  # the place and its disks go away
                kept = shutil.copytree(out, parent / f"wrong-{number}", symlinks=True)
                done.wrong.append(f"journal and evidence are in {kept}")
            done.twice = checks.counted_twice(result)
            done.twice += checks.wrongly_announced(result, place.events)
            done.unfinished = checks.unfinished(result, PLANNED)
            done.paused_s = checks.paused_s(result)
        done.left = checks.left_behind(place, folders=bereft)
    done.took_s = time.monotonic() - began
    return done


def _drawn(rng: random.Random, *, small_disks: bool) -> Blow:
    (step,) = rng.choices(list(STEPS), WEIGHTS)
    longest = 1.5 if step == START else 0.03
    delay = rng.choice([0.0, rng.uniform(0, longest)])
    return Blow(draw(rng, small_disks=small_disks), step, rng.randint(1, STEPS[step]), delay)


def _to_its_end(place: Place, done: Round, blows: deque[Blow], rng: random.Random) -> int:
    """Run the campaign, and resume it until it has its verdict.

    Returns:
        How often losttick and a supervisor were killed together.
    """
    out, bereft = place.results / "out", 0
    first = [
        "run", "--json", "--out", str(out), "--period", "10", "--trials", str(PLANNED),
        "--rule-out", str(RULE_OUT), *done.options,
    ]  # fmt: skip
    for number in range(MOST_SESSIONS):
        begun = _has_begun(out)
        done.resumed += begun
        args = ["run", "--json", "--resume", str(out)] if begun else first
        session = Session(place, out, [*args, "--events", str(place.events)], number)
        try:
            bereft += _strike(session, done, blows, rng)
            if not _ends(session, out / "journal.jsonl"):
                done.broken.append(f"session {number} hangs: {session.errors[-500:]}")
                break
        finally:
            session.close()
        _judge_end(session, done)
        if _has_begun(out) and read_run(out).finished:
            break  # else a resumed run tries again what a busy host did not let it do
    else:
        done.broken.append(f"no verdict after {MOST_SESSIONS} sessions")
    return bereft


def _has_begun(out: Path) -> bool:
    """Return whether a run has written what a later session needs: run, host and plan."""
    journal = out / "journal.jsonl"
    return journal.exists() and b'\n{"record":"plan"' in journal.read_bytes()


def _ends(session: Session, journal: Path) -> bool:
    """Wait for the end of a session; False if it hangs: its journal does not grow any more."""
    sizes = [-1]
    while not session.ends(LONGEST_S):
        sizes.append(journal.stat().st_size if journal.exists() else 0)
        if sizes[-1] == sizes[-2] or len(sizes) > MOST_SESSIONS:
            return False
    return True


def _strike(session: Session, done: Round, blows: deque[Blow], rng: random.Random) -> int:
    """Do one fault after the other, until the session ends; return how many left it bereft."""
    bereft = 0
    while blows and session.running:
        blow = blows.popleft()
        if blow.step != START:
            session.reaches(blow.step, blow.times, STEP_S)
        session.passes(blow.delay_s)
        if not session.running:
            blows.appendleft(blow)  # for the next session
            break
        how = blow.fault.strike(session, rng)
        if how is not None:
            done.faults[blow.fault.name] += 1
            done.blows.append(f"{blow.fault.name} {how}".strip() + f" at {blow.when}")
            bereft += "losttick" in blow.fault.name and "supervisor" in blow.fault.name
    return bereft


def _judge_end(session: Session, done: Round) -> None:
    """Note a session that ended as nothing explains."""
    allowed = {0, *UNANSWERED, *session.allowed}
    text = session.errors
    if session.code not in allowed:
        done.broken.append(f"exit code {session.code}: {text[-800:]}")
    elif "Traceback" in text or "a fault in losttick itself" in text:
        done.broken.append(f"exit code {session.code}: {text[-2000:]}")
    elif session.code == INTERRUPTED:
        done.slowest_end_s = max(done.slowest_end_s, session.took_s)
