"""The options that raise deadlines."""

import pytest

from orchestrator.cli import main
from orchestrator.cli.options import raised_deadlines
from orchestrator.clock import Deadlines


def test_without_options_the_deadlines_are_the_usual_ones() -> None:
    assert raised_deadlines(None, None) == Deadlines()


def test_each_option_changes_what_it_names() -> None:
    assert raised_deadlines(None, 90) == Deadlines(state_ns=90_000_000_000)
    # A host that answers slowly also starts its guests slowly.
    assert raised_deadlines(40, None) == Deadlines(
        command_ns=40_000_000_000, ready_ns=40_000_000_000
    )
    assert raised_deadlines(2.5, None) == Deadlines(command_ns=2_500_000_000)


@pytest.mark.parametrize("option", ["--command-deadline", "--state-deadline"])
@pytest.mark.parametrize("seconds", ["0", "nan", "inf", "1e300", "-inf", "soon"])
def test_no_deadline(option: str, seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["losttick", "run", option, seconds])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
