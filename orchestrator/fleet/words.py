"""The answer of a fleet in words: the same in every output."""

from collections.abc import Iterable, Iterator

from orchestrator.fleet.answer import CellAnswer, FleetAnswer, Where
from orchestrator.fleet.bad_hosts import BadHost
from orchestrator.results.comparison.compare import ERROR, Answer
from orchestrator.results.comparison.words import interval
from orchestrator.results.outputs.html.numbers import percent
from orchestrator.stats.difference import MOST_LOADS

#: Names that a sentence lists.
_MOST_NAMES = 6


def short(cell: CellAnswer) -> str:
    """Return the answer of a cell, in a few words."""
    match cell.answer:
        case Answer.SAME:
            assert cell.whole is not None
            return f"same within {percent(cell.whole.over_loads.within)}"
        case Answer.CANT_TELL if cell.more_loads is not None:
            return f"can't tell: {cell.more_loads:,} more loads would"
        case Answer.CANT_TELL:
            return "can't tell"
    match cell.where:
        case Where.ALL:
            one = len(cell.hosts) == 1
            return f"{cell.answer} on {'its only host' if one else 'all hosts'}"
        case Where.UNTOLD:
            return f"{cell.answer} on some host"
    only = " only" if cell.elsewhere is Answer.SAME else ""
    said = [
        f"{word} on {listed(names)}{only}"
        for word, names in ((Answer.WORSE, cell.worse_on), (Answer.BETTER, cell.better_on))
        if names
    ]
    return ", ".join(said)


def sentence(cell: CellAnswer) -> str:
    """Return the reason for the answer of a cell."""
    whole = cell.whole
    if whole is None:
        return f"No host tested both {cell.first} and {cell.second}, so nothing can be told."
    hosts = _count(len(cell.hosts), "host")
    told = f"p = {cell.adjusted:.2g} after Holm's correction"
    by = f"in the mean of {hosts} the rates differ by {interval(whole.over_loads)}"
    within = f"In the mean of {hosts} the rates differ by at most {_within(cell)}"
    margin = f"The margin is {percent(cell.margin)}."
    match cell.answer, cell.where:
        case Answer.SAME, _:
            return f"{within}. {margin}"
        case Answer.CANT_TELL, _:
            return f"{within}. {margin} {_wanted(cell)}"
        case _, Where.ALL:
            return f"{cell.second} loses {_more(cell)} than {cell.first}: {by}, {told}.{_all(cell)}"
        case _, Where.UNTOLD:
            return (
                f"{cell.second} loses {_more(cell)} than {cell.first} on some host: {by}, {told}. "
                "One host may be the cause, and which hosts it is can't be told: load more on each."
            )
    return " ".join(_of_named(cell))


def notes(cell: CellAnswer) -> Iterator[str]:
    """Yield what else must be known of a cell."""
    by_why: dict[str, list[str]] = {}
    for host, why in cell.left_out.items():
        by_why.setdefault(why, []).append(host)
    for why, hosts in by_why.items():
        count = "contributes" if len(hosts) == 1 else "contribute"
        yield f"{listed(hosts)} {count} nothing here: {why}."


def bad_host(bad: BadHost) -> str:
    """Return what a bad host loses, in a sentence."""
    lost = (
        f"{bad.host} loses more than the other hosts: {bad.lost:,} of {bad.trials:,} loads, and "
        f"they {bad.others_lost:,} of {bad.others_trials:,} (p = {bad.adjusted:.2g})."
    )
    if bad.under_all:
        return f"{lost} It does so under each kernel, so look at the host, and not at a kernel."
    if bad.kernels and len(bad.of) > 1:
        return f"{lost} It does so under {listed(bad.kernels)}; under others it can't be told."
    return lost


def headline(found: FleetAnswer, kernel: str) -> str:
    """Return how a kernel stands to the first one in how many cells."""
    cells = [cell for cell in found.cells if cell.second == kernel]
    said: dict[str, int] = {}
    for cell in cells:
        word = short(cell) if cell.where else str(cell.answer)
        said[word] = said.get(word, 0) + 1
    counted = ", ".join(f"{word} in {count}" for word, count in said.items())
    return f"{kernel} against {found.kernels[0]}: {counted} of {_count(len(cells), 'cell')}."


def statement(found: FleetAnswer) -> str:
    """Return the errors that the answers may have; empty if nothing was tested."""
    if not found.tests:
        return ""
    return (
        f"A wrong `worse` or `better` anywhere has a probability of at most {ERROR:.0%} "
        f"({_count(found.tests, 'test')}, Holm's correction), a host wrongly called bad of at most "
        f"{ERROR:.0%}, and a wrong `same` of at most {ERROR:.0%} for each cell. `same` is said of "
        "the mean of the hosts."
    )


def listed(names: Iterable[str]) -> str:
    """Return names as a list, the first ones of many."""
    every = list(names)
    if len(every) > _MOST_NAMES:
        return f"{', '.join(every[:_MOST_NAMES])} and {len(every) - _MOST_NAMES:,} more"
    return " and ".join(filter(None, [", ".join(every[:-1]), every[-1]])) if every else ""


def _more(cell: CellAnswer) -> str:
    return "more" if cell.answer is Answer.WORSE else "less"


def _all(cell: CellAnswer) -> str:
    if len(cell.hosts) == 1:
        return ""
    return (
        " That is seen without any single host, too, and hosts are not seen to differ in it "
        f"(p = {cell.differ:.2g})."
    )


def _of_named(cell: CellAnswer) -> Iterator[str]:
    own = cell.own or {}
    for names, more in ((cell.worse_on, "more"), (cell.better_on, "less")):
        if names:
            each = [f"{name} (p = {own[name]:.2g})" for name in names]
            yield f"{cell.second} loses {more} than {cell.first} on {listed(each)}."
    within = percent(cell.within_elsewhere or 0.0)
    left = len(cell.hosts) - len(cell.worse_on) - len(cell.better_on)
    others = "the other host" if left == 1 else f"the {left:,} other hosts together"
    match cell.elsewhere:
        case Answer.SAME:
            yield f"On {others} the rates differ by at most {within}."
        case Answer.CANT_TELL:
            yield f"On {others} the rates differ by at most {within}: can't tell."
        case Answer.WORSE | Answer.BETTER:
            more = "more" if cell.elsewhere is Answer.WORSE else "less"
            yield f"On {others} it loses {more}, too."


def _within(cell: CellAnswer) -> str:
    assert cell.whole is not None
    loads, saves = cell.whole.over_loads.within, cell.whole.over_saves.within
    if abs(saves - loads) < 1e-9:
        return percent(loads)
    return f"{percent(loads)}, or by at most {percent(saves)} if losses depend on the save"


def _wanted(cell: CellAnswer) -> str:
    if cell.loads_wanted is None:
        return f"Even {MOST_LOADS:,} loads would not tell."
    few = (
        " With so few saves no result could be told: take more of them."
        if cell.too_few_saves
        else ""
    )
    return (
        f"{cell.loads_wanted:,} loads under each kernel, on all hosts together, would tell, if the "
        f"rates are as they were seen: {cell.more_loads:,} more.{few}"
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
