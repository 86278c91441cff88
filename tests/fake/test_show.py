"""`losttick show`, and where a resumed run says that a cell was counted on another host."""

import asyncio
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.campaign.events import NO_PROGRESS, Progress
from orchestrator.campaign.run import run_plan
from orchestrator.cli import main
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.findings.outcome import Outcome
from orchestrator.journal.file import JOURNAL
from orchestrator.plan.cell import Cell
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.testing import FACTS, FakeHost, Script, immediate, lost
from orchestrator.verdict.run import RunResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import PLAN, cut_short, go_on
from tests.support.journal import journal_dicts


def shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *args: str
) -> tuple[object, str]:
    """Run `losttick show`; return its exit code and what it printed."""
    monkeypatch.setattr("sys.argv", ["losttick", "show", *args])
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().out


def table(run: RunResult) -> str:
    text = io.StringIO()
    print_run(Screen(Console(file=text, width=80)), run)
    return text.getvalue()


async def test_show_prints_what_the_run_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, script in (("clean", Script(immediate)), ("affected", Script(lost))):
        (tmp_path / name).mkdir()
        result = await go_on(tmp_path / name, script)
        code, text = shown(capsys, monkeypatch, str(tmp_path / name))
        assert text == table(result)
        assert code == {"clean": 0, "affected": 1}[name]
        assert read_result(tmp_path / name) == result
        _, text = shown(capsys, monkeypatch, str(tmp_path / name), "--json")
        assert text == json.dumps(summary(result), indent=2) + "\n"
    both = [str(tmp_path / name) for name in ("clean", "affected")]
    code, text = shown(capsys, monkeypatch, *both, "--json")
    assert (code, [run["verdict"] for run in json.loads(text)]) == (1, ["clean", "affected"])
    code, _ = shown(capsys, monkeypatch, *both, "--fail-on", "anomalous")
    assert code == 0


async def test_show_says_that_a_run_was_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await cut_short(tmp_path, Script(immediate), "trial", 3)
    code, text = shown(capsys, monkeypatch, str(tmp_path))
    assert code == 6
    assert "interrupted" in text
    assert "a signal stopped it" in " ".join(text.split())
    _, text = shown(capsys, monkeypatch, str(tmp_path), "--json")
    assert json.loads(text)["interrupted"] == "a signal stopped it"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        ("{}\n", "line 1: "),
        (
            '{"record":"run","format":9,"losttick":"9.9"}\n',
            "losttick 9.9 wrote the journal",
        ),
    ],
)
def test_show_refuses_what_it_cannot_read(
    tmp_path: Path, content: str | None, reason: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if content is not None:
        (tmp_path / JOURNAL).write_text(content)
    code, text = shown(capsys, monkeypatch, str(tmp_path), "--json")
    assert code == 2
    assert json.loads(text)["verdict"] is None
    assert reason in json.loads(text)["error"]
    assert str(tmp_path) in json.loads(text)["error"]


async def test_a_cell_keeps_the_host_on_which_it_was_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run resumed on another kernel is not that kernel's where it had its verdict before."""
    other = replace(FACTS, kernel="6.7.0-other", kvm_modules={"kvm_intel": {"enable_apicv": "N"}})
    before = await cut_short(tmp_path, Script(immediate), "cell", 1)
    done = {record["cell"] for record in before if record["record"] == "cell"}
    assert len(done) == 1
    result = await go_on(tmp_path, Script(immediate), other)
    assert result.facts == other
    for cell in result.cells:
        old = cell.cell.id in done
        assert cell.facts == (FACTS if old else other)
        assert cell.exposure.state == ("exposed" if old else "not-exposed")
    for found in (result, read_result(tmp_path)):
        by_id = {cell["id"]: cell for cell in summary(found)["cells"]}
        kernels = {name: cell.get("host", {}).get("kernel") for name, cell in by_id.items()}
        assert kernels == {name: FACTS.kernel if name in done else None for name in by_id}
        assert summary(found)["host"]["kernel"] == "6.7.0-other"
    _, text = shown(capsys, monkeypatch, str(tmp_path))
    assert text == table(result)
    said = " ".join(text.split())
    assert f"Counted on another host, with kernel {FACTS.kernel}" in said
    assert "The host changed" in said


async def test_a_cell_on_the_run_s_own_host_names_no_other(tmp_path: Path) -> None:
    result = await go_on(tmp_path, Script(immediate))
    assert "another host" not in table(result)
    assert all("host" not in cell for cell in summary(result)["cells"])


async def test_a_trial_is_journalled_before_it_is_announced(tmp_path: Path) -> None:
    """A listener that hears of a step finds the step in the journal."""
    heard: list[str] = []

    class Listener(type(NO_PROGRESS)):  # type: ignore[misc]  # the class is private
        def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
            written = journal_dicts(tmp_path / JOURNAL)
            trials = [r for r in written if r["record"] == "trial" and r["cell"] == cell.id]
            assert trials[-1]["outcome"] == outcome
            assert len([r for r in trials if r["role"] == "host"]) == done
            heard.append("trial")

        def control_seen(self, cell: Cell, seen: bool) -> None:
            written = journal_dicts(tmp_path / JOURNAL)
            assert any(r["record"] == "trial" and r["role"] == "control" for r in written)
            heard.append("control")

        def cell_ends(self, cell: Cell, verdict: Verdict, why: str) -> None:
            last = journal_dicts(tmp_path / JOURNAL)[-1]
            assert (last["record"], last["verdict"]) == ("cell", verdict)
            heard.append("cell")

    progress: Progress = Listener()
    host = FakeHost(Script(immediate))
    await run_plan(host, PLAN, Accel.KVM, tmp_path, progress)
    await asyncio.sleep(0)
    assert (heard.count("trial"), heard.count("control"), heard.count("cell")) == (8, 2, 2)


async def test_a_run_that_goes_on_is_shown_as_one(tmp_path: Path) -> None:
    shown = []

    class Listener(type(NO_PROGRESS)):  # type: ignore[misc]  # the class is private
        def attempt_ends(self, cell: Cell, outcome: Outcome, done: int, planned: int) -> None:
            shown.append(read_result(tmp_path).interrupted)

    await run_plan(
        FakeHost(Script(immediate)), PLAN, Accel.KVM, tmp_path, Listener()
    )  # fmt: skip
    assert set(shown) == {"it still goes on, in another process"}
    assert read_result(tmp_path).interrupted is None
