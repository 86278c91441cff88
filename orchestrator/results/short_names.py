"""Short names of cells, for rows in which a whole id has no room."""

from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len

_CUT = "..."


def short_names(ids: Sequence[str], room: int) -> dict[str, str]:
    """Return a short name for each id: the parts in which it differs from the others.

    Args:
        ids: of all cells of a run.
        room: the columns that a name may take.
    """
    parts = {each: each.split("/") for each in ids}
    often = Counter(part for each in parts.values() for part in dict.fromkeys(each))
    own = {name: [p for p in each if often[p] < len(ids)] for name, each in parts.items()}
    # A cell without a part of its own has all defaults: its timer names it.
    names = {name: "/".join(each or parts[name][1:2]) or name for name, each in own.items()}
    cut = {name: _cut(short, room) for name, short in names.items()}
    taken = Counter(cut.values())
    return {
        name: short if taken[short] == 1 else _cut(f"{number}: {names[name]}", room)
        for number, (name, short) in enumerate(cut.items(), 1)
    }


def _cut(text: str, room: int) -> str:
    """Return a text without its middle if it is too long; names differ at their ends."""
    if cell_len(text) <= room:
        return text
    keep = max(room - len(_CUT), 2)
    return text[: keep // 2] + _CUT + text[len(text) - (keep - keep // 2) :]
