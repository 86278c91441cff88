"""Settings of the fuzzers, values that they draw, and what they run in this process.

LOSTTICK_TEST_FUZZ chooses the number of cases of each target; `tox -e long` has 10,000.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from orchestrator.cli.exits import ExitCode
from tests.support.command_here import losttick

#: Cases of each target.
CASES = int(os.environ.get("LOSTTICK_TEST_FUZZ", "30"))

#: Settings of a fuzzer. Its cases may share `tmp_path`: each writes its files anew.
fuzzing = settings(
    max_examples=CASES,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)  # fmt: skip

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from([0, 1, -1, 2**31, 2**63, 2**64, 10**30, 1e-320, 1e308, "", "0", "running"]),
)  # fmt: skip

#: Anything that JSON can hold.
VALUES = st.recursive(
    SCALARS,
    lambda below: (
        st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4)
    ),
    max_leaves=8,
)


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str


def command(*args: str) -> Done:
    """Run losttick in this process, and check that it ended as any command should."""
    done = losttick(*args)
    assert "Traceback" not in done.stderr, done.stderr
    assert "a fault in losttick itself" not in done.stderr, done.stderr
    assert done.returncode in set(ExitCode), done.returncode
    if done.returncode == ExitCode.USAGE:
        assert done.stderr.strip(), "a refusal without a word"
    return Done(done.returncode, done.stdout, done.stderr)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Draw a text with some bytes changed, left out, added or moved."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.sampled_from([0, 1, 1, 2, 8, 64]))
        new = draw(
            st.binary(max_size=12) | st.sampled_from([b"[" * 3000, b"\n", b'"', b"\x00", b"1e999"])
        )
        data[at : at + size] = new
    return bytes(data)


def toml(value: object) -> str:
    """Return a value as TOML writes it, in one line."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
        case None:
            return '""'
        case _:
            return json.dumps(str(value))


def toml_file(tables: Mapping[str, object]) -> str:
    """Return a TOML file: plain settings first, then its tables."""
    plain = [f"{json.dumps(k)} = {toml(v)}" for k, v in tables.items() if not isinstance(v, dict)]
    named = [
        "\n".join([f"[{json.dumps(k)}]", *(f"{json.dumps(n)} = {toml(x)}" for n, x in v.items())])
        for k, v in tables.items()
        if isinstance(v, dict)
    ]
    return "\n".join([*plain, *named]) + "\n"
