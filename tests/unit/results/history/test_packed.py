"""The counts of saves, packed and unpacked."""

import zlib

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.save_ticks import SaveTicks
from orchestrator.results.history.packed import pack, unpack
from orchestrator.stats.save_effect import BySave


def test_what_was_packed_is_unpacked() -> None:
    by_save, ticks = BySave(25), SaveTicks()
    for save in range(5):
        by_save.begin()
        ticks.begin()
        for load in range(save):
            by_save.count(lost=load == 3)
            ticks.count(Outcome.FULL_PERIOD if load % 2 else Outcome.INDISTINCT, 1.25)
    assert unpack(pack(by_save, ticks), 25) == (by_save, ticks)


def test_no_saves() -> None:
    assert unpack(pack(BySave(1), SaveTicks()), 1) == (BySave(1), SaveTicks())


def test_many_saves_take_few_bytes() -> None:
    by_save, ticks = BySave(1), SaveTicks()
    for _ in range(100_000):
        by_save.begin()
        by_save.count(lost=False)
        ticks.begin()
        ticks.count(Outcome.IMMEDIATE, 0.0625)
    assert len(pack(by_save, ticks)) < 20_000


@pytest.mark.parametrize(
    "data", [b"", b"x", zlib.compress(b"abc"), pack(BySave(), SaveTicks())[:-2]]
)
def test_damaged_counts(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(data, 25)
