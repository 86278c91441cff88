"""An answer in words, and as plain data."""

import math
from collections.abc import Iterator
from typing import Any

from orchestrator.bisect.answer import CONFIDENCE, Answer, Side, most_named
from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.rules import Find
from orchestrator.bisect.steps import Ending
from orchestrator.journal.plain import plain

#: Letters of a commit's hash and of its subject that are named.
_HASH, _SUBJECT = 12, 80


def called(candidate: Candidate) -> str:
    """Return what a candidate is called: a commit by its short hash and its subject."""
    if candidate.commit is None:
        return candidate.name
    subject = candidate.summary
    shown = subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 1] + "…"
    return f"{candidate.commit[:_HASH]} ({shown})" if shown else candidate.commit[:_HASH]


def percent(share: float) -> str:
    """Return a share in percent, with two digits; never 100 % for less than that."""
    if 0.995 <= share < 1:
        return f"{math.floor(share * 1000) / 10:g} %"
    return f"{100 * share:.2g} %" if share < 1 else "100 %"


def headline(found: Answer) -> str:
    """Return the answer in one sentence."""
    what, kind = found.what, "fixed" if found.find is Find.FIX else "losing"
    shows = "that no longer shows it" if found.find is Find.FIX else "that shows it"
    match found.ending:
        case Ending.FOUND if len(found.culprits) == 1:
            return (
                f"The first {what} {shows}: {called(found.culprits[0])}, with a probability of "
                f"{percent(found.probability)}{_provided(found)}."
            )
        case Ending.FOUND:
            return (
                f"The first {what} {shows} is one of {len(found.culprits)}, with a probability of "
                f"{percent(found.probability)}{_provided(found)}. Those between them can't be "
                "tested."
            )
        case Ending.NEVER:
            return f"No culprit: neither end loses at a rate of {percent(found.min_rate)} or more."
        case Ending.ALWAYS:
            return "No culprit: both ends lose, so what broke is older or elsewhere."
        case Ending.UNTESTABLE_END:
            return "No answer: an end of the history can't be tested."
        case Ending.UNDECIDED:
            failed = len(found.not_tested)
            return (
                f"No answer after {found.boots} boots: "
                + (f"{failed} candidates can't be tested." if failed > found.boots
                   else "the tests do not agree on a culprit.")
            )  # fmt: skip
        case None:
            left = len(found.remaining)
            return f"Not at its end: the first {kind} {what} is one of {left} with 95 %."


def _provided(found: Answer) -> str:
    """Return the condition of a probability: rates that the clean side does not rule out."""
    bound = found.clean.ruled_out
    if bound is None or bound <= found.min_rate * 1.0001:
        return ""
    return (
        f", provided that no {found.what} taken for clean loses more rarely, in less than "
        f"{percent(bound)} of its loads"
    )


def sentences(found: Answer) -> Iterator[str]:
    """Yield the evidence of both sides, and what the answer does not say."""
    if found.ending is Ending.FOUND and len(found.culprits) > 1:
        yield f"One of: {_listed(found.culprits)}."
    yield from (_side(each) for each in (found.losing, found.clean) if each.loads)
    if found.rates and found.ending is not Ending.NEVER:
        low, middle, high = found.rates
        yield (
            f"Each {found.what} that loses does so at about {percent(middle)} of its loads "
            f"({percent(low)} to {percent(high)})."
        )
    if found.change:
        yield (
            f"The loss rate seems to change along the history ({found.change}): more than one "
            f"{found.what} may have a part in it."
        )
    if found.ending is Ending.FOUND:
        yield from _limits(found)
    if found.ending in (None, Ending.UNDECIDED) and found.remaining:
        yield f"Likeliest: {_listed(found.remaining)}."
    if found.ending is Ending.UNTESTABLE_END:
        for each in {each.candidate: each for each in found.not_tested}.values():
            if each.candidate in (found.losing.candidate, found.clean.candidate):
                yield f"{called(each.candidate)}: {each.why}"
        yield "Name another end, which builds and boots."
    elif found.not_tested:
        names = [each.candidate for each in found.not_tested]
        yield f"Not tested, and no evidence for anything: {_listed(names)}."


def _limits(found: Answer) -> Iterator[str]:
    """Yield what must not be read into the answer."""
    bound = found.clean.ruled_out
    if bound is not None and bound > found.min_rate * 1.0001:
        yield (
            f"Whether {called(found.clean.candidate)} loses more rarely than {percent(bound)} is "
            f"not known. To rule out {percent(found.min_rate)}, go on with --resume and "
            f"--parent-rate {found.min_rate:g}: {_more_loads(found)} more loads."
        )
    if found.find is Find.BREAK:
        yield (
            f"The {found.what} that shows it need not be the one that introduced it: one change "
            "can make a bug and another one expose it."
        )


def _more_loads(found: Answer) -> int:
    needed = math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-found.min_rate))
    return max(1, needed - found.clean.loads)


def _side(side: Side) -> str:
    boots = f"{side.boots} boot{'s' * (side.boots != 1)}"
    said = f"{called(side.candidate)}: {side.losses} of {side.loads} loads lost, in {boots}"
    bound = side.ruled_out
    if bound is not None:
        said += f"; rules out a loss rate above {percent(bound)}, at {percent(CONFIDENCE)}"
    return f"{said}. Evidence: {', '.join(side.evidence)}." if side.evidence else f"{said}."


def _listed(candidates: tuple[Candidate, ...] | list[Candidate]) -> str:
    named = most_named(candidates)
    said = ", ".join(map(called, named))
    more = len(candidates) - len(named)
    return f"{said} and {more} more" if more else said


def answer_data(found: Answer) -> dict[str, Any]:
    """Return an answer as an object for JSON."""
    return {
        "answer": found.ending and found.ending.name.lower(),
        "why": headline(found),
        "notes": list(sentences(found)),
        "find": found.find,
        "what": found.what,
        "probability": found.probability,
        "culprits": plain(found.culprits),
        "losing": _side_data(found.losing),
        "clean": _side_data(found.clean),
        "remaining": plain(most_named(found.remaining)),
        "remaining_count": len(found.remaining),
        "rate": found.rates and dict(zip(("low", "median", "high"), found.rates, strict=True)),
        "not_tested": plain(found.not_tested),
        "min_rate": found.min_rate,
        "candidates": found.candidates,
        "boots": found.boots,
        "loads": found.loads,
        "seconds": found.seconds,
    }


def _side_data(side: Side) -> dict[str, Any]:
    return {**plain(side), "ruled_out": side.ruled_out}
