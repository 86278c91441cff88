"""The loop of a bisection, with its log: failures, kernels that are one, kills, resumption."""

import json
from pathlib import Path

import pytest

from orchestrator.bisect import tester as seam
from orchestrator.bisect.answer import answer_of
from orchestrator.bisect.engine import Bisection, Progress, SettingsError
from orchestrator.bisect.log import LOG, LogError, read_log
from orchestrator.bisect.records import BootRecord, SameRecord, UntestableRecord
from orchestrator.bisect.rules import Rules
from orchestrator.bisect.state import FoldError, fold
from orchestrator.bisect.steps import Ending, Phase, likeliest
from orchestrator.bisect.words import headline
from orchestrator.journal.file import BusyJournalError
from tests.support.simulated_bisections import line
from tests.support.simulated_tester import SimulatedTester, rates

HISTORY = line(30)


def begun(folder: Path, rules: Rules | None = None) -> Bisection:
    return Bisection.begin(folder, HISTORY, rules or Rules(), {"plan": "simulated"})


def quiet(_: Progress) -> None:
    pass


async def test_the_culprit_is_found_and_confirmed(tmp_path: Path) -> None:
    bisection, steps = begun(tmp_path), []
    ending = await bisection.run(SimulatedTester(rates(HISTORY.candidates, 17, 0.5)), steps.append)
    assert ending is Ending.FOUND
    assert likeliest(bisection.belief()).culprits == (17,)
    lost = [(test.candidate, bool(test.losses)) for test in bisection.state.boots]
    rest = iter(lost)
    assert all(each in rest for each in [(17, True), (16, False), (17, True)])
    assert lost[0] == (30, True)
    assert lost[1] == (0, False)
    assert steps[0].remaining == 29
    assert steps[-1].remaining == 1
    assert steps[0].left_s > steps[-1].left_s > 0


async def test_builds_and_boots_that_fail_say_nothing(tmp_path: Path) -> None:
    broken = {f"c{index}": stage for index, stage in zip((15, 16, 18), seam.Stage, strict=True)}
    bisection = begun(tmp_path)
    tester = SimulatedTester(rates(HISTORY.candidates, 17, 1.0), broken)
    assert await bisection.run(tester, quiet) is Ending.FOUND
    place = likeliest(bisection.belief())
    assert 17 in place.culprits
    assert set(place.culprits) <= {15, 16, 17}  # no test can tell them apart
    assert (place.losing, place.clean) == (17, 14)
    for name in broken:
        assert tester.tested.count(name) <= 1


async def test_an_end_that_fails_is_tried_again_and_then_ends_it(tmp_path: Path) -> None:
    bisection = begun(tmp_path)
    tester = SimulatedTester(rates(HISTORY.candidates, 17, 1.0), {"c30": seam.Stage.BOOT})
    assert await bisection.run(tester, quiet) is Ending.UNTESTABLE_END
    assert tester.tested == ["c30", "c30"]
    assert [type(record) for record in bisection.state.records] == [UntestableRecord] * 2


async def test_a_history_that_builds_nowhere_but_at_its_ends_is_given_up(tmp_path: Path) -> None:
    history = line(500)
    broken = {each.name: seam.Stage.BUILD for each in history.candidates[1:-1]}
    bisection = Bisection.begin(tmp_path, history, Rules(), {})
    tester = SimulatedTester(rates(history.candidates, 17, 1.0), broken)
    assert await bisection.run(tester, quiet) is Ending.UNDECIDED
    assert len(tester.tested) <= 70
    assert "can't be tested" in headline(answer_of(bisection.state))


async def test_a_kernel_that_is_one_with_another_is_not_booted(tmp_path: Path) -> None:
    """Commits 8 to 24 change no kernel, but 17, the culprit, does."""
    signatures = {f"c{i}": "a" for i in range(8, 17)} | {f"c{i}": "b" for i in range(17, 25)}
    bisection = begun(tmp_path)
    tester = SimulatedTester(rates(HISTORY.candidates, 17, 0.5), signatures=signatures)
    assert await bisection.run(tester, quiet) is Ending.FOUND
    assert likeliest(bisection.belief()).culprits == (17,)
    same = [record for record in bisection.state.records if isinstance(record, SameRecord)]
    assert same
    assert len(bisection.state.boots) + len(same) == len(tester.tested)


async def test_a_bisection_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Whatever line the kill cut short, the same answer comes in the end."""
    whole = tmp_path / "whole"
    whole.mkdir()
    bisection = begun(whole)
    tester = SimulatedTester(rates(HISTORY.candidates, 17, 1.0))
    await bisection.run(tester, quiet)
    bisection.close()
    lines = (whole / LOG).read_bytes().splitlines(keepends=True)
    for kept in (1, 2, 5, len(lines)):
        part = tmp_path / str(kept)
        part.mkdir()
        (part / LOG).write_bytes(b"".join(lines[:kept]) + lines[-1][:40])
        again = Bisection.resume(part)
        later = SimulatedTester(rates(HISTORY.candidates, 17, 1.0))
        assert await again.run(later, quiet) is Ending.FOUND
        again.close()
        assert len(later.tested) == len(lines) - kept
        assert likeliest(again.belief()).culprits == (17,)
        assert fold(read_log(part)).boots == bisection.state.boots


async def test_two_at_a_time_and_other_settings_are_refused(tmp_path: Path) -> None:
    bisection = begun(tmp_path)
    with pytest.raises(BusyJournalError):
        Bisection.resume(tmp_path)
    bisection.close()
    again = Bisection.resume(tmp_path)
    with pytest.raises(SettingsError, match="plan is other, and was simulated"):
        again.check_settings({"plan": "other"})
    again.close()
    with pytest.raises(LogError, match=f"has no {LOG}"):
        Bisection.resume(tmp_path / "elsewhere")


async def test_a_tester_that_errs_is_not_believed(tmp_path: Path) -> None:
    class Wrong(SimulatedTester):
        async def test(self, *_: object) -> seam.Tested:  # type: ignore[override]
            self.tested.append("")
            return seam.Tested(1, 2, 1.0, "", "")

    bisection, wrong = begun(tmp_path), Wrong({})
    assert await bisection.run(wrong, quiet) is Ending.UNTESTABLE_END
    assert not bisection.state.boots


def log_lines(folder: Path) -> list[dict[str, object]]:
    bisection = begun(folder)
    for record in (
        BootRecord(30, Phase.LOSING_END, 459, 3, 1, 10.0, "x", "s"),
        UntestableRecord(15, Phase.SEARCH, seam.Stage.BUILD, "no rule", 1.0),
    ):
        bisection._log.write(record)
    bisection.close()
    return [json.loads(each) for each in (folder / LOG).read_bytes().splitlines()]


@pytest.mark.parametrize(
    ("line", "change", "words"),
    [
        (0, {"record": "test"}, "line 1: "),
        (0, {"format": 2}, "line 1: format: "),
        (0, {"seq": 7}, "its sequence number is not 1"),
        (0, {"parents": [[], [4]]}, "line 1: bisecting: not every candidate"),
        (0, {"min_rate": 0}, "line 1: min_rate: "),
        (1, {"candidate": 31}, "line 2: there is no candidate 31"),
        (1, {"loads": "3"}, "line 2: loads: "),
        (1, {"losses": 4}, "line 2: more losses than loads"),
        (1, {"losses": 1e999}, "line 2: it is not JSON|losses: "),
        (1, {"extra": 1}, "line 2: extra: "),
        (2, {"stage": "bad"}, "line 3: stage: "),
        (2, {"record": "same", "signature": "t", "stage": None}, "line 3: "),
        (2, {"record": ["begun"]}, "it is no record of a bisection"),
    ],
)
def test_logs_that_make_no_sense_are_refused(
    tmp_path: Path, line: int, change: dict[str, object], words: str
) -> None:
    lines = log_lines(tmp_path)
    lines[line] |= change
    (tmp_path / LOG).write_text("".join(json.dumps(each) + "\n" for each in lines))
    with pytest.raises((LogError, FoldError), match=words):
        fold(read_log(tmp_path))


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"\0" * 40 + b"\n", b"[" * 100_000 + b"\n", b"{}\n"]
)
def test_what_is_no_log_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / LOG).write_bytes(content)
    with pytest.raises((LogError, FoldError)):
        fold(read_log(tmp_path))
    with pytest.raises((LogError, FoldError)):
        Bisection.resume(tmp_path)
