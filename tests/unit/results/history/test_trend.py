"""The trend of cells, and what else changed in the host."""

import json
import random
import time
from pathlib import Path
from types import SimpleNamespace

from orchestrator.results.history.store import History
from orchestrator.results.history.trend import sentence, trend
from orchestrator.results.outputs.html.trend import trend_page
from tests.support.made_history import add, night, opened
from tests.support.made_runs import FULL, TICK, losing, other


def nights(folder: Path, rates: list[float], **more: dict[int, object]) -> History:
    """Make nights with these loss rates; `more` gives an option of `make_run` by the night."""
    history = opened(folder)
    for number, rate in enumerate(rates, 1):
        how = {name: values[number] for name, values in more.items() if number in values}
        add(history, night(folder, number, losing(rate, seed=number), **how))
    return history


KERNEL = other(kernel="6.5.0", kernel_build="#2")

BOTH = other(kernel="6.5.0", microcode="0x99")


def test_a_kernel_that_changed_alone_is_named(tmp_path: Path) -> None:
    history = nights(tmp_path, [0] * 6 + [0.1] * 3, facts=dict.fromkeys((7, 8, 9), KERNEL))
    (found,) = trend(history.nights())
    (turn,) = found.turns
    assert turn.what == "loss rate"
    assert turn.nights[0].run == turn.nights[1].run == 7
    assert "Only the kernel changed then (kernel: 6.6.1-fake → 6.5.0" in sentence(found, turn)


def test_more_than_the_kernel_is_not_blamed_on_the_kernel(tmp_path: Path) -> None:
    history = nights(tmp_path, [0] * 6 + [0.1] * 3, facts=dict.fromkeys((7, 8, 9), BOTH))
    (found,) = trend(history.nights())
    assert "none is named as the cause" in sentence(found, found.turns[0])


def test_nothing_that_is_known_changed(tmp_path: Path) -> None:
    (found,) = trend(nights(tmp_path, [0] * 6 + [0.1] * 3).nights())
    assert "Nothing that losttick knows" in sentence(found, found.turns[0])


def test_a_class_that_changed(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 8):
        add(history, night(tmp_path, number, losing(0, tick=TICK if number < 5 else FULL)))
    (found,) = trend(history.nights())
    (turn,) = found.turns
    assert turn.what == "share of immediate"
    assert turn.change.at == 4


def test_a_class_that_depends_on_the_save_does_not_change(tmp_path: Path) -> None:
    """Loads of one save have one class, of which each save has the one or the other."""
    history = opened(tmp_path)
    drawn = random.Random(1)
    for number in range(1, 29):
        of_saves = [drawn.choice((TICK, FULL)) for _ in range(12)]
        loads = [of_saves[load // 25] for load in range(299)]
        add(history, night(tmp_path, number, loads))
    (found,) = trend(history.nights())
    shares = [each.classes[0] / sum(each.classes) for each in found.nights]
    assert max(shares) - min(shares) > 0.4, "the nights do differ"
    assert not found.turns


def test_runs_that_may_have_missed_losses_are_left_out(tmp_path: Path) -> None:
    """Else a night whose controls failed would look like a repair."""
    history = nights(
        tmp_path, [0.1] * 5 + [0] * 3, unseen=dict.fromkeys((6, 7, 8), 1)
    )  # fmt: skip
    (found,) = trend(history.nights())
    assert len(found.nights) == 5
    assert not found.turns


def test_hosts_are_kept_apart(tmp_path: Path) -> None:
    history = opened(tmp_path)
    for number in range(1, 9):
        host = "one" if number % 2 else "other"
        add(history, night(tmp_path, number, losing(0.1 * (number % 2), seed=number)), host=host)
    found = trend(history.nights())
    assert {each.host for each in found} == {"one", "other"}
    assert not any(each.turns for each in found)
    assert [each.host for each in trend(history.nights(host="one"))] == ["one"]


def test_the_page(tmp_path: Path) -> None:
    history = nights(tmp_path, [0] * 6 + [0.1] * 3, losttick=dict.fromkeys(range(7, 10), "<b>2"))
    found = trend(history.nights())
    page = trend_page(found).decode()
    assert "1 of 1 cells changed" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("<rect") == 3
    assert trend_page(found).decode() == page


def test_a_thousand_nights_of_rates_that_do_not_change() -> None:
    rows = [
        SimpleNamespace(
            id=n, host="h", began_at=f"{n}", cell=f"{cell}", trials=299, lost=n % 3 if cell else 0,
            unresolved=0, save_classes=[12, 0, 0], facts={"kernel": "6"}, blind="",
        )
        for n in range(1000)
        for cell in range(24)
    ]  # fmt: skip
    began = time.monotonic()
    found = trend(rows)
    took = time.monotonic() - began
    print(json.dumps({"seconds": round(took, 2), "cells": len(found)}))
    assert not any(each.turns for each in found)
