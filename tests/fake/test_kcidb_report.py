"""`losttick report --kcidb`, of a run with the bug."""

import json
from pathlib import Path

import kcidb_io

from orchestrator.testing import Script, lost
from tests.support.command_here import report
from tests.support.cut_short_runs import go_on

COMMIT = "9cfec6d097c607e36199cf0cfbb8cf5acbd8e9b2"


async def test_a_submission_names_origin_and_commit(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    await go_on(out, Script(lost))
    file = tmp_path / "kcidb.json"
    options = ("--kcidb-origin", "night_shift", "--commit", COMMIT)
    done = report(out, "--kcidb", str(file), *options)
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(file.read_bytes())
    kcidb_io.schema.LATEST.validate(found)
    (checkout,) = found["checkouts"]
    assert (checkout["origin"], checkout["git_commit_hash"]) == ("night_shift", COMMIT)
    assert [each["status"] for each in found["tests"]] == ["FAIL", "FAIL"]
    assert len(found["incidents"]) == 2
    (out.rename(tmp_path / "moved"))
    again = report(tmp_path / "moved", "--kcidb", "-", *options)
    assert json.loads(again.stdout) == found


async def test_an_origin_that_kcidb_refuses_writes_nothing(tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    await go_on(out, Script(lost))
    file = tmp_path / "kcidb.json"
    done = report(out, "--kcidb", str(file), "--kcidb-origin", "Night Shift")
    assert done.returncode == 2
    assert "'Night Shift' is not the name of a CI system" in " ".join(done.stderr.split())
    assert not file.exists()
