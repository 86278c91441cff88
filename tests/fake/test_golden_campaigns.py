"""Campaigns take the same course as before the package got its layout: `tests/golden`."""

import json
from typing import Any

import pytest

from orchestrator.testing import Script, immediate
from tests.support.golden_campaigns import BEHAVIOURS, FILE, ONE_CELL, SEVERAL_CELLS, course

BEFORE: dict[str, Any] = json.loads(FILE.read_text())


def test_one_seed_gives_the_cells_phases_and_order_that_it_gave() -> None:
    """24 cells that take turns, of two modes, methods and numbers of vCPUs and three phases."""
    before, now = BEFORE["several cells"], course(SEVERAL_CELLS, Script(immediate))
    assert [cell["id"] for cell in now["cells"]] == [cell["id"] for cell in before["cells"]]
    assert now["saves"] == before["saves"]
    assert now["trials"] == before["trials"]
    assert now == before
    assert len(now["cells"]) == 24


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_each_behaviour_gets_the_verdict_that_it_got(name: str) -> None:
    assert course(ONE_CELL, Script(BEHAVIOURS[name])) == BEFORE[name]


def test_every_behaviour_of_the_file_is_tested() -> None:
    assert BEFORE.keys() == {"several cells", *BEHAVIOURS}
