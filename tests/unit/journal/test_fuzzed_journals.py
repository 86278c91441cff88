"""Whatever a journal holds, it is read or it is refused with exit code 2, and alike by all."""

import functools
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.campaign.resume import ResumeError, read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.exits import ExitCode
from orchestrator.plan.load import build_plan
from orchestrator.testing import (
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    lost,
    only_in_trials,
    remaining,
)
from orchestrator.testing.script import Behaviour
from orchestrator.vm.config import Accel
from tests.support.fuzz import VALUES, Done, command, damaged, fuzzing
from tests.support.virtual_time import in_virtual_time


def late(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns


PLANS: Mapping[str, tuple[Behaviour, Mapping[str, object]]] = {
    "clean": (immediate, {}),
    "lost": (only_in_trials(lost), {}),
    "late": (late, {"loads_per_save": 2}),
    "several cells": (full_period, {"mode": ["one-shot", "periodic"], "vcpus": 2}),
    "new QEMUs": (remaining, {"method": "exec"}),
    "auto": (immediate, {"period_ms": "auto"}),
}


@functools.cache
def journals() -> Mapping[str, bytes]:
    """Return whole journals of runs on the fake host, and of runs that were cut short."""
    found = {}
    for name, (behaviour, axes) in PLANS.items():
        plan = build_plan(
            {
                "axes": {"accel": "kvm", "period_ms": 100, **axes},
                "limits": {"trials": 4, "rule_out": 0.6},
                "seed": 1,
            },
            "fuzz",
        )
        host = FakeHost(Script(behaviour))
        with TemporaryDirectory() as out:
            run = partial(run_plan, host, plan, Accel.KVM, Path(out))
            result = in_virtual_time(run)
            found[name] = result.journal.read_bytes()
        lines = found[name].splitlines(keepends=True)
        found[f"{name}, cut short"] = b"".join(lines[: 2 * len(lines) // 3])
    return found


def drawn(data: st.DataObject) -> bytes:
    return journals()[data.draw(st.sampled_from(sorted(journals())))]


def check(out: Path, data: bytes) -> Done:
    """Show and resume a journal; return what `show` said."""
    (out / "journal.jsonl").write_bytes(data)
    done = command("show", str(out))
    for further in ("--json", "--by-phase"):
        assert command("show", further, str(out)).code == done.code
    try:
        read_run(out)
    except ResumeError as error:
        if "it has ended" not in str(error) and "ran in labs" not in str(error):
            assert done.code == ExitCode.USAGE, error
    else:
        assert done.code != ExitCode.USAGE, done.err
    return done


@given(data=st.data())
@fuzzing
def test_damaged_bytes(tmp_path: Path, data: st.DataObject) -> None:
    check(tmp_path, data.draw(damaged(drawn(data))))


@given(data=st.binary(max_size=200))
@example(data=b"")
@example(data=b"\n")
@example(data=b"[" * 100_000 + b"\n")
@example(data=b'{"record":"run","format":1}\n')
@example(data=b'{"record":"run","format":true}\n')
@example(data=b'{"record":"run","format":1e999}\n')
@example(data=b'{"record":["run"],"format":1}\n')
@example(data=b'{"record":"direct","format":1}\n')
@fuzzing
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    assert check(tmp_path, data).code == ExitCode.USAGE


def paths(value: Any, here: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Return the paths to everything in a JSON value."""
    found = [here]
    if isinstance(value, dict):
        found += [path for key, below in value.items() for path in paths(below, (*here, key))]
    if isinstance(value, list):
        found += [path for at, below in enumerate(value) for path in paths(below, (*here, at))]
    return found


def put(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """Replace what is at a path."""
    if not path:
        return new
    below = value
    for step in path[:-1]:
        below = below[step]
    below[path[-1]] = new
    return value


@given(data=st.data())
@fuzzing
def test_changed_records(tmp_path: Path, data: st.DataObject) -> None:
    """Lines that stay JSON: left out, doubled, exchanged, or with another value in them."""
    lines = drawn(data).splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "double", "swap", "change", "change", "change"])):
            case "drop" if len(lines) > 1:
                del lines[at]
            case "double":
                lines.insert(at, lines[at])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[at], lines[other] = lines[other], lines[at]
            case _:
                record = json.loads(lines[at])
                path = data.draw(st.sampled_from(paths(record)))
                changed = put(record, path, data.draw(VALUES))
                lines[at] = json.dumps(changed).encode() + b"\n"
    check(tmp_path, b"".join(lines))


def test_the_journals_are_good_before_they_are_damaged(tmp_path: Path) -> None:
    """Else the fuzzers would only see refusals."""
    for name, whole in journals().items():
        assert check(tmp_path, whole).code != ExitCode.USAGE, name
