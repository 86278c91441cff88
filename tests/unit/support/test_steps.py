"""A step is waited for by its name, however the run's writes are cut."""

import os
from pathlib import Path

import pytest

from tests.support import steps as module
from tests.support.steps import steps


def test_a_step_is_found_behind_others(tmp_path: Path) -> None:
    with steps(tmp_path / "events") as events, (tmp_path / "events").open("w") as run:
        run.write('{"event": "run_begins"}\n{"event": "cell_begins", "cell"')
        run.flush()
        events.wait_for("run_begins")
        assert events.seen == ["run_begins"]
        run.write(': "a"}\n{"event": "attempt_ends"}\n{"event": "attempt_ends"}\n')
        run.flush()
        events.wait_for("attempt_ends", 2)
        assert events.seen == ["run_begins", "cell_begins", "attempt_ends", "attempt_ends"]


def test_a_step_that_does_not_come_fails_the_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEADLINE_S", 0.05)
    with steps(tmp_path / "events") as events:
        writer = os.open(tmp_path / "events", os.O_WRONLY)
        os.write(writer, b'{"event": "attempt_ends"}\n')
        os.close(writer)
        with pytest.raises(AssertionError, match=r"no attempt_ends in 0.05 s, only \['attempt"):
            events.wait_for("attempt_ends", 2)
