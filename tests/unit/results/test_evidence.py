"""Evidence that is read back. Its folder may come from a stranger."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from orchestrator.findings.evidence import Evidence, LookTaken, VcpuEvidence
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import Stage
from orchestrator.journal.archive import SMALL
from orchestrator.results.evidence import MOST_DATA, MOST_TEXT, Seen, read_evidence
from tests.support.bundles import archive, entry, write_bundle

PLACE = "evidence/0001-host-lost"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / PLACE
    found.mkdir(parents=True)
    return found


@pytest.mark.parametrize(
    "place",
    ["", "evidence", "/etc/ssl", "../evidence/x", "evidence/..", "evidence/x/y", "evidence/.x",
     "evidence/x\n", "evidence/\0"],
)  # fmt: skip
def test_a_place_that_is_no_evidence_folder(tmp_path: Path, place: str) -> None:
    assert read_evidence(tmp_path, place).fault == (
        "the journal names no evidence folder of this run"
    )


def test_a_missing_folder(tmp_path: Path) -> None:
    assert read_evidence(tmp_path, PLACE).fault == f"{PLACE}: No such file or directory"


def test_a_bundle_with_more_evidence_than_memory_is_given_to(tmp_path: Path) -> None:
    full = [entry(f"evidence/{n:04}-host-lost/trace.txt", bytes(SMALL)) for n in range(2, 10)]
    files = [*full, entry(f"{PLACE}/evidence.json", b"{}")]
    bundle = write_bundle(tmp_path / "b", archive(files))
    assert "Unpack it" in read_evidence(bundle, PLACE).fault
    bundle = write_bundle(tmp_path / "c", archive(files[1:]))
    assert "does not have the form" in read_evidence(bundle, PLACE).fault
    assert "No such file" in read_evidence(bundle, "evidence/0100-host-lost").fault


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cell": 1}', "[" * 100_000, '"\\ud800"'])
def test_data_of_another_form(tmp_path: Path, folder: Path, text: str) -> None:
    (folder / "evidence.json").write_text(text)
    found = read_evidence(tmp_path, PLACE)
    assert found.seen is None
    assert found.fault == "evidence.json does not have the form that this losttick writes"


def written() -> dict[str, Any]:
    """Return the contents of an `evidence.json` with each kind of number."""
    vcpu = VcpuSave(
        vcpu=0, phase=0.5, progress=1000, progress_per_period=2000.0, ticks=7, arms=8, lvtt=0x40,
        tmict=20_000_000, irr=(), isr=(), interrupt_flag=True, printing=False,
        stage=Stage.TICKING, deadline=(1 << 64) - 1,
    )  # fmt: skip
    seen = Seen(
        "cell",
        TrialResult((VcpuResult(Outcome.LOST),), began_ns=10, resumed_ns=12),
        Save("save3", 0.5, (vcpu,), saved_ns=5),
        Evidence(
            vcpus=(VcpuEvidence(ticked_ns=40),), began_ns=20, ended_ns=60,
            looks=[LookTaken("query-status", 20, 21)],
            qmp_log=[{"t_ns": 20, "way": "sent", "message": {}}], stats=[{"value": 1}],
        ),
    )  # fmt: skip
    found: dict[str, Any] = json.loads(TypeAdapter(Seen).dump_json(seen))
    return found


def integers(data: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the ways to all integers in data."""
    if isinstance(data, dict | list):
        for key, value in data.items() if isinstance(data, dict) else enumerate(data):
            yield from integers(value, (*way, key))
    elif type(data) is int:
        yield way


@pytest.mark.parametrize("number", [10**400, -(10**400), 1 << 64], ids=["1e400", "-1e400", "2**64"])
def test_integers_that_no_machine_has(number: int, tmp_path: Path, folder: Path) -> None:
    ways = list(integers(written()))
    assert len(ways) > 30
    whole = json.dumps(written())
    for way in ways:
        data = json.loads(whole)
        outer = data
        for key in way[:-1]:
            outer = outer[key]
        outer[way[-1]] = number
        (folder / "evidence.json").write_text(json.dumps(data))
        assert read_evidence(tmp_path, PLACE).seen is None, way


@pytest.mark.parametrize("of", ["trial", "save"])
def test_a_trial_or_a_save_without_a_vcpu(of: str, tmp_path: Path, folder: Path) -> None:
    (folder / "evidence.json").write_text(json.dumps(written()))
    assert read_evidence(tmp_path, PLACE).seen
    data = written()
    data[of]["vcpus"] = []
    (folder / "evidence.json").write_text(json.dumps(data))
    assert read_evidence(tmp_path, PLACE).seen is None


def test_data_without_end(tmp_path: Path, folder: Path) -> None:
    with (folder / "evidence.json").open("wb") as file:
        file.truncate(MOST_DATA + 1)
    assert "more than 8 MiB" in read_evidence(tmp_path, PLACE).fault


def test_links_and_fifos_are_not_followed(tmp_path: Path, folder: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (folder / "console.txt").symlink_to(secret)
    os.mkfifo(folder / "trace.txt")
    (folder / "evidence.json").symlink_to(secret)
    found = read_evidence(tmp_path, PLACE)
    assert (found.console, found.trace) == ("", "")
    assert found.fault.startswith("evidence.json: ")


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "console.txt").write_text("secret")
    (tmp_path / "evidence").mkdir()
    (tmp_path / PLACE).symlink_to(tmp_path / "elsewhere")
    found = read_evidence(tmp_path, PLACE)
    assert found.console == ""
    assert found.fault


def test_the_end_of_a_long_text_in_any_bytes(tmp_path: Path, folder: Path) -> None:
    (folder / "console.txt").write_bytes(b"x" * (10 << 20) + b"\xff\x00end")
    found = read_evidence(tmp_path, PLACE)
    assert found.console.endswith("x\\xff\0end")
    assert len(found.console) <= MOST_TEXT + 3
