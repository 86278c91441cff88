"""Journals of real runs, and what each output makes of them.

tests/golden/runs has NAME.jsonl.gz, the journal of a run, and NAME.KIND, the output of that kind.
To write the outputs anew, run `python -m tests.unit.results.test_golden_outputs`, and read what
has changed.
"""

import gzip
import json
import sys
import tempfile
from pathlib import Path

import kcidb_io
import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report
from tests.support.kunit import parsed
from tests.support.places import GOLDEN

RUNS = sorted((GOLDEN / "runs").glob("*.jsonl.gz"))

OUTPUTS = sorted(path for kind in ("ktap", "kcidb") for path in (GOLDEN / "runs").glob(f"*.{kind}"))


def name(path: Path) -> str:
    return path.name.partition(".")[0]


def rendered(journal: Path, kind: str, folder: Path) -> bytes:
    (out := folder / name(journal)).mkdir(exist_ok=True)
    (out / JOURNAL).write_bytes(gzip.decompress(journal.read_bytes()))
    return output(kind).render([read_report(out)], OutputOptions())


@pytest.mark.parametrize("path", OUTPUTS, ids=lambda path: path.name)
def test_a_real_run_gives_the_same_output(path: Path, tmp_path: Path) -> None:
    found = rendered(path.with_name(f"{name(path)}.jsonl.gz"), path.suffix[1:], tmp_path)
    assert found.decode() == path.read_text()


def test_each_run_has_its_outputs() -> None:
    assert {name(path) for path in RUNS} == {name(path) for path in OUTPUTS}


#: These, and the reports of other runs: a lab's, a direct test's, an affected host's, and more.
KTAP = sorted(path for path in GOLDEN.rglob("*.ktap"))

KCIDB = sorted([*GOLDEN.rglob("*.kcidb"), *(GOLDEN / "reports").glob("*.json")])


def of_each_run(paths: list[Path]) -> set[str]:
    return {name(path) for path in paths}


@pytest.mark.parametrize("path", KTAP, ids=name)
def test_the_kernel_reads_it(path: Path) -> None:
    (run,) = parsed(path.read_bytes())["subtests"]
    assert run["subtests"]
    assert all(each["name"] and not each["errors"] for each in [run, *run["subtests"]])


@pytest.mark.parametrize("path", KCIDB, ids=name)
def test_kcidb_reads_it(path: Path) -> None:
    kcidb_io.schema.LATEST.validate(json.loads(path.read_bytes()))


def test_runs_of_every_kind_are_read() -> None:
    kinds = {"lab", "probe", "smp", "affected", "interrupted", "skipped", "unknown"}
    assert kinds <= of_each_run(KTAP) == of_each_run(KCIDB)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for run in RUNS:
            for kind in sys.argv[1:] or ("ktap", "kcidb"):
                text = rendered(run, kind, Path(place))
                (GOLDEN / "runs" / f"{name(run)}.{kind}").write_bytes(text)
