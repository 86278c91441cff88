"""Bundles: deterministic, complete, and read as the run's folder is."""

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.results.bundling import pack as pack_module
from orchestrator.results.bundling.pack import pack
from orchestrator.results.bundling.secrets import Secrets
from orchestrator.results.evidence import read_evidence
from orchestrator.results.outputs.output import Output, OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, output
from orchestrator.results.report import Report, read_report
from tests.support.bundles import contents
from tests.support.run_folders import make_run_folder


def packed(folder: Path, secrets: Secrets | None = None) -> Path:
    target = folder.with_name(f"{folder.name}.tar.zst")
    target.write_bytes(pack(folder, secrets).data)
    return target


def hung(tmp_path: Path) -> Path:
    """Return the folder of a run with the evidence of a hang."""
    folder = make_run_folder("affected", tmp_path / "run")
    evidence = folder / "evidence" / "0001-host-lost"
    evidence.mkdir(parents=True)
    (evidence / "console.txt").write_bytes(b"tick \xff\x1b[2J\n")
    (evidence / "trace.txt").write_text("kvm_entry\n")
    (evidence / "evidence.json").write_text("{}")
    (folder / "console").mkdir()
    (folder / "console" / "instance-0001.log").write_text("x\n")
    return folder


#: One of each kind: cells, interrupted and resumed runs, skips, several vCPUs, other hosts.
KINDS = (
    "affected", "clean", "cells", "interrupted", "interrupted-early", "resumed-elsewhere",
    "skipped", "smp-mixed", "recovered", "real-methods", "not-exposed",
)  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_the_result_of_every_run_is_the_same_from_its_bundle(name: str, tmp_path: Path) -> None:
    folder = make_run_folder(name, tmp_path / "run")
    report = read_report(folder)
    for secrets in (None, Secrets()):
        found = read_report(packed(folder, secrets))
        assert [replace(each, facts=None) for each in found.cases] == [
            replace(each, facts=None) for each in report.cases
        ]
        assert (found.verdict, found.interrupted) == (report.verdict, report.interrupted)


def test_the_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = hung(tmp_path)
    first = pack(folder).data
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    assert pack(folder).data == first
    shutil.copytree(folder, tmp_path / "elsewhere" / "run")
    copied = contents(packed(tmp_path / "elsewhere" / "run"))
    assert copied.keys() == contents(packed(folder)).keys()


def test_every_spelling_of_the_folder_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hung(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = pack(folder).data
    assert pack(Path("run")).data == found
    monkeypatch.chdir(folder)
    for spelled in (Path(), Path("../run"), Path("evidence/..")):
        assert pack(spelled).data == found
    shutil.copytree(folder, tmp_path / "elsewhere" / "run")
    assert pack(tmp_path / "elsewhere" / "run").data == found


def test_no_file_that_a_kill_could_leave_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    seen = []

    def look(path: Path) -> Report:
        seen.append((path.name, list(temporary.iterdir())))
        return read_report(path)

    monkeypatch.setattr(pack_module, "read_report", look)
    pack(make_run_folder("affected", tmp_path / "run"), Secrets())
    assert len(seen) == 2  # of the run, and of what is hidden in it
    assert not any(files for _, files in seen)


def test_a_bundle_has_all_that_a_stranger_needs(tmp_path: Path) -> None:
    path = packed(hung(tmp_path))
    files = contents(path)
    assert list(files)[:4] == [JOURNAL, "README.txt", "explanation.txt", "host.json"]
    assert files["evidence/0001-host-lost/console.txt"] == b"tick \xff\x1b[2J\n"
    assert files["console/instance-0001.log"] == b"x\n"
    assert b"losttick show" in files["README.txt"]
    assert b"967235d32032" in files["explanation.txt"]
    assert max(map(len, files["README.txt"].splitlines())) <= 100
    host = json.loads(files["host.json"])
    assert host["host"]["kernel"] == "6.6.1-fake"
    assert host["verdict"] == "affected"


def test_evidence_is_read_from_a_bundle(tmp_path: Path) -> None:
    folder = hung(tmp_path)
    found = read_evidence(packed(folder), "evidence/0001-host-lost")
    assert found == read_evidence(folder, "evidence/0001-host-lost")
    assert found.trace == "kvm_entry\n"
    missing = read_evidence(packed(folder), "evidence/0002-host-lost")
    assert "No such file" in missing.fault


def test_links_and_torn_lines_stay_outside(tmp_path: Path) -> None:
    folder = hung(tmp_path)
    (folder / "evidence" / "0001-host-lost" / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "console" / "fifo")
    (folder / "serial").symlink_to("/etc")
    (folder / "private.key").write_text("secret")
    whole = (folder / JOURNAL).read_bytes()
    (folder / JOURNAL).write_bytes(whole + b'{"record":"tri')
    files = contents(packed(folder))
    assert files[JOURNAL] == whole
    assert pack(folder).left_out == (
        "'evidence/0001-host-lost/link': it is no plain file",
        "'console/fifo': it is no plain file",
        "serial: it is no plain file",
    )
    assert not [name for name in files if name.endswith(("link", "fifo", ".key"))]
    assert not [name for name in files if name.startswith("serial")]


def test_a_name_that_no_bundle_can_hold_is_named(tmp_path: Path) -> None:
    folder = hung(tmp_path)
    (folder / "console" / "a\nb").write_text("x")
    (folder / "console" / ("x" * 200)).write_text("x")
    found = pack(folder)
    assert len(found.left_out) == 2
    (tmp_path / "b").write_bytes(found.data)
    assert read_report(tmp_path / "b").verdict == "affected"


def test_a_bundle_is_packed_again_to_the_same_files(tmp_path: Path) -> None:
    first = packed(hung(tmp_path))
    again = tmp_path / "again.tar.zst"
    again.write_bytes(pack(first).data)
    before, after = contents(first), contents(again)
    assert list(before) == list(after)
    same = [name for name in before if before[name] == after[name]]
    assert {JOURNAL, "evidence/0001-host-lost/console.txt", "host.json"} <= set(same)


def test_a_fault_in_making_a_report_leaves_out_the_report_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: object) -> bytes:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(type(output("markdown")), "render", fail)
    bundle = pack(hung(tmp_path))
    assert bundle.left_out == (
        "report.md: a fault in losttick itself: ZeroDivisionError: division by zero",
    )


@pytest.mark.parametrize("kind", [each for each in OUTPUTS if each not in ("html", "github")])
def test_every_output_is_written_from_a_bundle_as_from_its_folder(
    kind: str, tmp_path: Path
) -> None:
    folder = hung(tmp_path)
    path = packed(folder)
    writer = cast(Output, output(kind))
    before, after = (writer.render([read_report(each)], OutputOptions()) for each in (folder, path))
    assert after.replace(os.fsencode(path), b"") == before.replace(os.fsencode(folder), b"")
