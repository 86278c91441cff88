"""The gate turns skips into failures; each of its rules is seen to work and to let pass."""

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.needs import VARIABLE
from tests.support.places import ROOT

TESTS = """\
import pytest
from tests.support.needs import Need, lacking, not_applicable

@pytest.fixture(scope="session")
def compiler():
    lacking(Need.COMPILER, "there is none")

def test_one_that_needs_a_compiler(compiler): pass
def test_another_that_needs_a_compiler(compiler): pass
def test_one_that_needs_a_lab(): lacking(Need.LAB, "there is none")
def test_one_without_purpose_here(): not_applicable("nothing to check")
def test_one_that_says_nothing(): pytest.skip("I do not feel like it")
@pytest.mark.skipif(True, reason="nor do I")
def test_one_that_is_marked(): pass
@pytest.mark.xfail(reason="known", strict=True)
def test_one_that_is_known_to_fail(): assert False
def test_one_that_runs(): pass
"""

GATED = "compiler, qemu"


def outcomes(folder: Path, must_have: str) -> tuple[dict[str, str], str]:
    """Run `TESTS` in a pytest of its own; return the outcome of each, and what was printed."""
    (folder / "test_some.py").write_text(TESTS)
    report = folder / "report.xml"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.support.needs", "-p", "no:cacheprovider",
         "-c", os.devnull, "--rootdir", str(folder), "--junitxml", str(report), str(folder)],
        cwd=ROOT, env=os.environ | {VARIABLE: must_have}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    if not report.exists():
        return {}, done.stderr
    cases = ElementTree.parse(report).iter("testcase")
    found = {case.get("name", ""): "".join(part.tag for part in case) for case in cases}
    return {name.removeprefix("test_"): tag for name, tag in found.items()}, done.stdout


def test_without_the_gate_what_is_lacking_is_skipped(tmp_path: Path) -> None:
    found, _ = outcomes(tmp_path, "")
    assert {name for name, outcome in found.items() if outcome == "skipped"} == {
        "one_that_needs_a_compiler", "another_that_needs_a_compiler", "one_that_needs_a_lab",
        "one_without_purpose_here", "one_that_says_nothing", "one_that_is_marked",
        "one_that_is_known_to_fail",
    }  # fmt: skip
    assert found["one_that_runs"] == ""


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("one_that_needs_a_compiler", "error"),
        ("another_that_needs_a_compiler", "error"),
        ("one_that_needs_a_lab", "skipped"),
        ("one_without_purpose_here", "skipped"),
        ("one_that_says_nothing", "failure"),
        ("one_that_is_marked", "error"),
        ("one_that_is_known_to_fail", "skipped"),
        ("one_that_runs", ""),
    ],
)
def test_behind_the_gate(gated: tuple[dict[str, str], str], name: str, outcome: str) -> None:
    assert gated[0][name] == outcome


def test_the_gate_says_why(gated: tuple[dict[str, str], str]) -> None:
    assert "compiler must be there (LOSTTICK_MUST_HAVE), but is lacking: there is none" in gated[1]
    assert "I do not feel like it: skipped without a named need" in gated[1]


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], str]:
    return outcomes(tmp_path_factory.mktemp("gated"), GATED)


def test_an_unknown_need_is_refused(tmp_path: Path) -> None:
    found, printed = outcomes(tmp_path, "compiler,kmv")
    assert found == {}
    assert "'kmv' is not a valid Need; known are: qemu, kvm, compiler" in printed
