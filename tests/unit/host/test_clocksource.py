"""The kernel's present clock source."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.host.local_facts import CLOCKSOURCE, clocksource
from orchestrator.testing import FACTS


def test_the_clock_source_is_read(tmp_path: Path) -> None:
    file = tmp_path / "current_clocksource"
    assert clocksource(str(file)) is None
    file.write_text("hpet\n")
    assert clocksource(str(file)) == "hpet"
    if Path(CLOCKSOURCE).exists():
        assert clocksource() == Path(CLOCKSOURCE).read_text().strip()


@pytest.mark.parametrize(
    ("source", "synchronised"), [("tsc", True), (None, True), ("hpet", False), ("kvm-clock", False)]
)
def test_only_another_clock_source_says_that_tscs_may_differ(
    source: str | None, *, synchronised: bool
) -> None:
    assert replace(FACTS, clocksource=source).synchronises_tscs is synchronised
