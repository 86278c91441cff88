"""The counts of a cell's saves, in few bytes: some tens of kilobytes for 100,000 saves."""

import sys
import zlib
from array import array
from collections.abc import Iterable
from typing import Any

from orchestrator.journal.save_ticks import CLASSES, SaveTicks
from orchestrator.stats.save_effect import BySave

#: The columns of `pack`, in order: loads, losses, each of `CLASSES`, ticks and their times.
_CODES = "I" + "B" + "I" * len(CLASSES) + "I" + "f"

#: Most saves of a cell that are read.
_MOST = 10_000_000


def pack(by_save: BySave, ticks: SaveTicks) -> bytes:
    """Return the counts of each save, as little-endian columns that are compressed together."""
    columns: list[Iterable[Any]] = [
        by_save.loads, by_save.lost, *ticks.classes, ticks.ticks, ticks.periods,
    ]  # fmt: skip
    packed: list[array[Any]] = [
        array(code, column) for code, column in zip(_CODES, columns, strict=True)
    ]
    if sys.byteorder == "big":
        for each in packed:
            each.byteswap()
    return zlib.compress(b"".join(each.tobytes() for each in packed), 6)


def unpack(data: bytes, loads_per_save: int) -> tuple[BySave, SaveTicks]:
    """Return the counts of each save.

    Raises:
        ValueError: the bytes are not what `pack` returned.
    """
    sizes = [array(code).itemsize for code in _CODES]
    try:
        unpacker = zlib.decompressobj()
        whole = unpacker.decompress(data, _MOST * sum(sizes))
    except zlib.error as error:
        raise ValueError(f"the counts of saves are damaged ({error})") from error
    saves, left = divmod(len(whole), sum(sizes))
    if left or not unpacker.eof:
        raise ValueError("the counts of saves are damaged")
    columns: list[array[Any]] = []
    at = 0
    for code, size in zip(_CODES, sizes, strict=True):
        column: array[Any] = array(code, whole[at : at + saves * size])
        if sys.byteorder == "big":
            column.byteswap()
        columns.append(column)
        at += saves * size
    loads, lost, *classes, ticks, periods = columns
    by_save = BySave(loads_per_save, array("L", loads), bytearray(lost))
    return by_save, SaveTicks(tuple(classes), ticks, periods)
