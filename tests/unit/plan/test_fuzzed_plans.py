"""Whatever stands in a plan, it is a plan or it is refused with exit code 2 and a sentence."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.cli import run as run_command
from orchestrator.cli.exits import ExitCode
from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.cost import expected_s
from orchestrator.plan.goals import Goals
from orchestrator.plan.load import load_plan
from orchestrator.plan.names import SHIPPED, shipped_plans
from orchestrator.plan.plan import Plan
from orchestrator.vm.config import Accel
from tests.support.fuzz import SCALARS, VALUES, command, damaged, fuzzing, toml_file

#: Cells of a plan that are looked at one by one.
FEW = 300


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the command end before it would look for QEMU."""
    monkeypatch.setattr(run_command, "run_async", lambda start: ExitCode.CLEAN)
    yield


def check(path: Path) -> None:
    """Run a plan, and check what a plan promises if it is one."""
    done = command("run", "--plan", str(path))
    assert done.code in (ExitCode.CLEAN, ExitCode.USAGE), done.err
    try:
        plan = load_plan(str(path), {})
    except InputError:
        assert done.code == ExitCode.USAGE
        return
    assert done.code == ExitCode.CLEAN, done.err
    assert Plan.model_validate(plan.model_dump(mode="json")) == plan
    assert plan.limits.planned >= 1
    try:
        cells = plan.cells(Accel.KVM)
    except InputError:
        return
    assert len({cell.id for cell in cells}) == len(cells)
    for cell in cells[:FEW]:
        assert math.isfinite(expected_s(cell, plan))


@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(data=b"axes = " + b"[" * 20_000)
@example(data=b"a" + b".a" * 3_000 + b" = 1")
@example(data=b"x = " + b'{"a" = ' * 5_000)
@example(data=b"seed = " + b"9" * 10_000)
@example(data=b"seed = 1\n\x00")
@example(data=b"\xef\xbb\xbfseed = 1\n")
@fuzzing
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "plan.toml").write_bytes(data)
    check(tmp_path / "plan.toml")


@given(data=st.data())
@fuzzing
def test_damaged_plans(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(shipped_plans()))
    whole = (SHIPPED / f"{name}.toml").read_bytes()
    (tmp_path / "plan.toml").write_bytes(data.draw(damaged(whole)))
    check(tmp_path / "plan.toml")


#: Values that some axis takes, and some that none does.
LIKELY = st.sampled_from([
    "auto", "kvm", "tcg", "hmp", "jobs", "one-shot", "periodic", "random", "expired", "0.2-0.8",
    0.5, 0.5000000001, "0.5", 1, 2, 25, 10, 10.0000000001, "3 periods", "3.0 periods", "10 s",
    "10000 ms", "q35", "q35,hpet=off", "qemu64", "-device virtio-rng-pci", "tick", "same",
    "busy", "halt", "armed", "cont", "repeat", "fresh", "bios", "xapic", "on", "split",
])  # fmt: skip

SOME_AXES = st.lists(st.dictionaries(st.sampled_from([*Axes.model_fields]), LIKELY), max_size=2)

TABLES = st.fixed_dictionaries(
    {},
    optional={
        "axes": st.dictionaries(
            st.sampled_from([*Axes.model_fields, "speed"]),
            LIKELY | st.lists(LIKELY | SCALARS, max_size=4) | VALUES,
            max_size=5,
        ) | VALUES,
        "limits": st.dictionaries(
            st.sampled_from([*Goals.model_fields, "patience"]),
            st.floats(0, 1) | st.integers(0, 1000) | VALUES, max_size=4,
        ) | VALUES,
        "seed": st.integers(0, 2**64) | VALUES,
        "controls": st.integers(0, 3) | VALUES,
        "require": st.sampled_from(["apicv", ["apicv"]]) | VALUES,
        "exclude": SOME_AXES | VALUES,
        "include": SOME_AXES | VALUES,
    },
)  # fmt: skip


@given(tables=TABLES)
@example(tables={"limits": {"rule_out": 1e-320}})
@example(tables={"limits": {"rule_out": 5e-324, "trials": 3}})
@example(tables={"limits": {"confidence": math.nextafter(1, 0)}})
@example(tables={"limits": {"rule_out": math.nan, "seconds": math.inf}})
@example(tables={"axes": {"phase": [0.5, 0.5000000001]}})
@example(tables={"axes": {"period_ms": [10, 10.0000000001]}})
@example(tables={"axes": {"pause_before_load": ["10 s", "10000 ms"]}})
@example(tables={"axes": {"phase": "0.1-0.10000000001"}})
@example(tables={"limits": {"trials": 10**400}})
@fuzzing
def test_values_of_every_kind(tmp_path: Path, tables: dict[str, object]) -> None:
    (tmp_path / "plan.toml").write_text(toml_file(tables), encoding="utf-8", errors="replace")
    check(tmp_path / "plan.toml")


OPTIONS = (
    "--rule-out", "--confidence", "--trials", "--seconds", "--seed", "--controls", "--period",
    "--phase", "--mode", "--vcpus", "--memory", "--machine", "--cpu", "--pause-before-load",
    "--loads-per-save", "--qemu-arg", "--parallel", "--command-deadline", "--state-deadline",
)  # fmt: skip

#: A command line can hold no NUL and no lone surrogate.
WORDS = (SCALARS | LIKELY).map(str) | st.text(
    st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20
)


@given(options=st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS), max_size=4))
@example(options=[("--rule-out", "1e-320")])
@example(options=[("--trials", "1e9")])
@example(options=[("--phase", "0.5"), ("--phase", "0.5000000001")])
@example(options=[("--seconds", "nan")])
@example(options=[("--command-deadline", "inf")])
@example(options=[("--command-deadline", "1e300")])
@example(options=[("--state-deadline", "nan")])
@example(options=[("--qemu-arg", "'")])
@fuzzing
def test_options_of_every_kind(options: list[tuple[str, str]]) -> None:
    given_options = [f"{name}={word}".replace("\0", "") for name, word in options]
    done = command("run", *given_options)
    assert done.code in (ExitCode.CLEAN, ExitCode.USAGE), done.err
