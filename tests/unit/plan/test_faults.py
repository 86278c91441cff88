"""Plans that no person would write on purpose: refused with the place of the fault."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import InputError
from orchestrator.plan.faults import COMMAND_LINE, MOST_FAULTS, PlanError
from orchestrator.plan.load import MOST_BYTES, build_plan, load_plan
from orchestrator.vm.config import Accel


def refused(text: str | bytes, tmp_path: Path) -> str:
    path = tmp_path / "plan.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError) as caught:
        load_plan(str(path), {})
    assert len(str(caught.value)) < 20_000
    return str(caught.value)


DIGITS = "9" * 5000


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("seed = 1\n[axes]\nmode = " + "[" * 5000 + "]" * 5000, "line 3: ", "nested too deeply"),
        ("seed = 1\nx = " + "{a = " * 3000 + "1" + "}" * 3000, "line 2: ", "nested too deeply"),
        ("a" + ".a" * 5000 + " = 1", "line 1, a: ", "there is no such setting"),
        (f"seed = {DIGITS}", "not TOML: ", "4300 digits"),
        (f"seed = 0x{'f' * 5000}", "line 1, seed: ", "a number of thousands of digits"),
        ("seed = 18446744073709551616", "line 1, seed: ", "18446744073709551616"),
        ("seed = 1979-05-27", "line 1, seed: ", "datetime.date(1979, 5, 27)"),
        ("seed = true", "line 1, seed: ", "True"),
        ("controls = 2.5", "line 1, controls: ", "2.5"),
        ("[limits]\nrule_out = 1e-320", "line 2, limits.rule_out: ", "1e-320"),
        ("[limits]\nrule_out = nan", "line 2, limits.rule_out: ", "nan"),
        ("[limits]\nrule_out = -0.0", "line 2, limits.rule_out: ", "-0.0"),
        ("[limits]\nconfidence = nan", "line 2, limits.confidence: ", "nan"),
        ("[limits]\nseconds = nan", "line 2, limits.seconds: ", "nan"),
        ("[limits]\nseconds = inf", "line 2, limits.seconds: ", "inf"),
        ("[limits]\ntrials = 99999999999999999999", "line 2, limits.trials: ", "9999999"),
        ("[limits]\nstop_after = 99999999999", "line 2, limits.stop_after: ", "9999999"),
        ("[axes]\nphase = nan", "line 2, axes.phase[1]: ", "a phase is a number"),
        ("[axes]\nphase = 07:32:00", "line 2, axes.phase[1]: ", "a phase is a number"),
        (f"[axes]\nphase = 0x{'f' * 5000}", "line 2, axes.phase[1]: ", "thousands of digits"),
        (f"[axes]\nperiod_ms = 0x{'f' * 5000}", "line 2, axes.period_ms[1]: ", "a period is auto"),
        ("[axes]\nperiod_ms = inf", "line 2, axes.period_ms[1]: ", "a period is auto"),
        ("[axes]\nperiod_ms = 1979-05-27", "line 2, axes.period_ms[1]: ", "a period is auto"),
        ("[axes]\nvcpus = inf", "line 2, axes.vcpus[1]: ", "inf"),
        ("[axes]\nmemory_mib = 1e400", "line 2, axes.memory_mib[1]: ", "inf"),
        (f'[axes]\nmode = "{"x" * 10**6}"', "line 2, axes.mode[1]: ", "there is no timer"),
        (f'[axes]\nqemu = "{"x" * 5000}"', "line 2, axes.qemu[1]: ", "at most 4096"),
        ('[axes]\nqemu = "a\\u0000b"', "line 2, axes.qemu[1]: ", "control character"),
        ('[axes]\nloader = "a\\nb"', "line 2, axes.loader[1]: ", "control character"),
        ('[axes]\nqemu_args = "-device \'a\\u0000b\'"', "line 2, axes.qemu_args[1]: ", "control"),
        ('[axes]\nqemu_args = "-name \'x\\n,id=qmp\'"', "line 2, axes.qemu_args[1]: ", "control"),
        (f'[axes]\nqemu_args = "-x {"x" * 100_001}"', "line 2, axes.qemu_args[1]: ", "at most"),
        (f'[axes]\ncpu = "{"x" * 10_001}"', "line 2, axes.cpu[1]: ", "at most 10000"),
        (f'[axes]\nmachine = "{"x" * 10_001}"', "line 2, axes.machine[1]: ", "at most 10000"),
        ("[axes]\nx = [\n[" + " " * 50_000 + "1]]\ny = 1", "line 2, axes.x: ", "line 4, axes.y: "),
        (b'seed = 1\n# \xff\xfe"', "line 2: ", "not UTF-8"),
        (b"#" * (MOST_BYTES + 1), "", "more than 16 MiB"),
        ("axes = 1979-05-27", "line 1, axes: ", "it must be a table"),
        ("[axes]\nmethod = []", "line 2, axes.method: ", "it must have at least 1 item, not 0"),
        ("[limits]\nrule_out = 7", "line 2, limits.rule_out: ", "it must be less than 1"),
        (f'"{"k" * 10**6}" = 1', "kkk", "there is no such setting"),
    ],
)  # fmt: skip
def test_a_hostile_value_is_refused_at_its_place(
    text: str | bytes, place: str, words: str, tmp_path: Path
) -> None:
    said = refused(text, tmp_path)
    assert place in said
    assert words in said


def test_of_very_many_faults_the_first_are_listed(tmp_path: Path) -> None:
    said = refused(f"[axes]\nvcpus = {[99] * 20_000}\n", tmp_path)
    assert said.count("line 2, axes.vcpus[") == MOST_FAULTS
    assert "and 19,950 more" in said


@pytest.mark.parametrize("name", ["/", "a\0b", "x" * 5000, "/dev/zero"])
def test_a_name_that_is_no_plan_s(name: str) -> None:
    with pytest.raises(PlanError):
        load_plan(name, {})


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(),
        st.times(), st.integers(10**4999, 10**5000),
        st.sampled_from(["auto", "random", "expired", "0-1", "1e-400", "3 periods", "same"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)  # fmt: skip
TABLES = {
    "axes": [
        "accel", "mode", "apic", "method", "period_ms", "loads_per_save", "cycle", "irqchip",
        "phase", "qemu", "machine", "cpu", "vcpus", "memory_mib", "guest", "wait", "state",
        "resume", "pause_before_load", "pause_before_cont", "loader", "vmstate", "firmware",
        "qemu_args",
    ],
    "limits": ["rule_out", "confidence", "stop_after", "trials", "seconds"],
}  # fmt: skip


@settings(max_examples=300)
@given(st.data())
def test_a_plan_of_drawn_values_has_cells_or_faults(data: st.DataObject) -> None:
    """Whatever a value is, the plan is refused, or it gives cells whose ids all differ."""
    table = data.draw(st.sampled_from(["axes", "limits", "include", ""]))
    names = TABLES.get("axes" if table == "include" else table, ["seed", "require", "controls"])
    values = {data.draw(st.sampled_from(names)): data.draw(VALUES) for _ in range(2)}
    plan = {table: [values] if table == "include" else values} if table else values
    try:
        built = build_plan(plan, data.draw(st.sampled_from(["test", COMMAND_LINE])))
        cells = built.cells(Accel.KVM)
    except InputError as error:
        assert len(str(error)) < 20_000
    else:
        assert len({cell.id for cell in cells}) == len(set(cells))
        assert built.limits.planned > 0


def test_each_fault_is_found_among_the_good_values(tmp_path: Path) -> None:
    """The line of the fault is named, wherever it stands in a long plan."""
    rng = random.Random(1)
    for _ in range(20):
        lines = [f"[[include]]\nvcpus = {rng.randint(1, 8)}" for _ in range(200)]
        bad = rng.randrange(200)
        lines[bad] = "[[include]]\nvcpus = 9"
        said = refused("\n".join(lines), tmp_path)
        assert f"line {2 * bad + 2}, include[{bad + 1}].vcpus[1]" in said
