"""A host that is too busy to hit the middle of the period: wider phases are accepted."""

import itertools
from pathlib import Path
from typing import Any

from orchestrator.testing import FakeQemu, Script
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign
from tests.support.journal import journal_dicts


def unsteady() -> Script:
    """Return a script in which every other stop for a save takes effect half a period late."""
    delays = itertools.cycle((0.5, 0.0))
    late = 0.0

    async def stop(qemu: FakeQemu) -> None:
        if not qemu.config.control_tick:
            await qemu.clock.sleep(int(late * qemu.period_ns))
            qemu.advance()

    def look(qemu: FakeQemu) -> None:
        nonlocal late
        late = next(delays)

    return Script(on_command={"stop": stop, "info registers": look})


async def saves(tmp_path: Path, **axes: object) -> tuple[Verdict, list[dict[str, Any]]]:
    result, _ = await campaign(tmp_path, unsteady(), trials=8, loads_per_save=2, **axes)
    records = journal_dicts(result.journal)
    found = [r for r in records if r["record"] == "save" and r["role"] == "host"]
    return result.verdict, found


async def test_after_five_misses_more_phases_are_accepted(tmp_path: Path) -> None:
    verdict, records = await saves(tmp_path)
    assert verdict is Verdict.CLEAN
    eligible = [r for r in records if r["eligible"]]
    assert len(eligible) == 4
    assert any(r["widened"] for r in eligible)
    for tag in {r["tag"] for r in eligible}:
        *misses, save = [r for r in records if r["tag"] == tag]
        phase = save["vcpus"][0]["phase"]
        assert len(misses) <= 5
        assert all("off phase" in miss["ineligible"] for miss in misses)
        assert bool(save["widened"]) is (len(misses) == 5)
        assert 0.1 <= phase <= 0.9 if save["widened"] else 0.35 <= phase <= 0.65


async def test_a_range_that_was_asked_for_is_kept(tmp_path: Path) -> None:
    verdict, records = await saves(tmp_path, phase="0.41-0.59")
    assert verdict is not Verdict.AFFECTED
    assert not any(r["widened"] for r in records)
    for record in records:
        assert not record["eligible"] or 0.36 <= record["vcpus"][0]["phase"] <= 0.64
