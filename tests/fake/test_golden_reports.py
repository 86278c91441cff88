"""Every form of text keeps its words, for runs of every kind: `tests/golden/reports`."""

from collections.abc import Iterator

import pytest

from orchestrator.results.report import Report
from tests.support.command_here import valid_junit
from tests.support.golden_reports import KINDS, NAMES, REPORTS, rendered, reports


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Report]]:
    with reports() as found:
        yield found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_a_report_has_the_words_that_it_had(name: str, kind: str, runs: dict[str, Report]) -> None:
    """`python -m tests.support.golden_reports` writes them anew."""
    expected = REPORTS / f"{name}.{KINDS[kind]}"
    assert rendered(kind, runs[name]).decode() == expected.read_text(), expected


@pytest.mark.parametrize("name", NAMES)
def test_every_run_is_valid_junit(name: str, runs: dict[str, Report]) -> None:
    (suite,) = valid_junit(rendered("junit", runs[name]).decode())
    assert [case.name for case in suite] == [case.name for case in runs[name].cases]


def test_the_arms_of_a_lab_pass_with_their_known_answers(runs: dict[str, Report]) -> None:
    (suite,) = valid_junit(rendered("junit", runs["lab"]).decode())
    assert suite.name == "losttick.lab.run"
    assert [case.is_passed for case in suite] == [True, True, True]
    assert "verdict: affected\nexpected: affected\n" in list(suite)[1].system_out
