"""Linux guests in a lab: the users' own freeze, told by the guest itself."""

import json
from pathlib import Path

import pytest

from tests.support.lab_command import arms, lab_run, records

pytestmark = pytest.mark.timeout(3600)


@pytest.mark.thorough
@pytest.mark.long
def test_linux_freezes_where_the_fix_is_reverted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    variants = ["--variant=untouched", "--variant=revert-fix"]
    by = arms(lab_run(out, "--guest=linux", *variants, trials=20))
    plain, frozen = by["untouched", True], by["revert-fix", True]
    assert plain["outcomes"].get("lost", 0) == 0
    assert plain["verdict"] == "clean", plain["why"]
    assert frozen["outcomes"]["lost"] >= 19
    assert frozen["verdict"] == "affected", frozen["why"]
    lost = [each for each in records(out, "trial") if each["outcome"] == "lost"]
    for each in lost:
        folder = out / each["evidence"]
        sentence = (folder / "diagnosis.txt").read_text()
        assert "lost one-shot interrupt" in sentence
        assert "the kernel waits for one that was due" in sentence
        said = json.loads((folder / "evidence.json").read_text())["evidence"]["vcpus"][0]
        first, last = said["testimonies"][0]["kernel"], said["testimonies"][1]["kernel"]
        assert first["interrupts"] == last["interrupts"]
        assert first["next_event_ns"] == last["next_event_ns"] < first["now_ns"] < last["now_ns"]
