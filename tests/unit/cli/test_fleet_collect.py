"""`losttick fleet collect`: the table, the page, JSON and the exit code."""

import json
from pathlib import Path

import pytest

from orchestrator.fleet.begin import begin
from orchestrator.fleet.executor import Seen, TaskState
from orchestrator.fleet.load import load_fleet
from orchestrator.fleet.task import Task, tasks
from tests.support.command_here import losttick
from tests.support.fake_fleet import FLEET, fleet_file
from tests.support.made_runs import exactly, make_run, other

RELEASES = {"old": "6.1.0-1", "new": "6.12.0-1"}


def run_of(folder: Path, task: Task, lost: int, loads: int = 300, **how: object) -> None:
    make_run(
        folder / "runs" / task.id, exactly(lost, loads),
        **{"facts": other(kernel=RELEASES[task.kernel]), "machine": f"{task.host}'s",
           "seed": sum(map(ord, task.id))} | how,
    )  # type: ignore[arg-type]  # passed on  # fmt: skip


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Task]:
    """Begin a fleet of two hosts that have both kernels, and one that lacks the new one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOSTTICK_HISTORY", str(tmp_path / "history.sqlite"))
    loaded = load_fleet(fleet_file(tmp_path, FLEET + '[[hosts]]\nname = "c"\n'))
    _, log = begin(loaded, Path("out"))
    log.write(Seen("a@new", TaskState.FAILED, "the host did not \x1b[2Jcome back"))
    log.close()
    return {task.id: task for task in tasks(loaded.fleet)}


def test_a_fleet_is_collected(begun: dict[str, Task]) -> None:
    for name in ("a@old", "a@new", "c@old", "c@new", "b@old"):
        run_of(Path("out"), begun[name], 60 * name.endswith("new"))
    done = losttick("fleet", "collect", "out", columns=200)
    assert done.returncode == 1
    assert "worse on all hosts" in done.stdout
    assert "b contributes nothing here: tested with old only." in done.stdout
    assert "b@new: not possible: b does not have the kernel new" in done.stdout
    assert "6 tasks, 1,500 trials; 5 runs added to the history, 0 read again." in done.stdout
    page = Path("out/fleet.html").read_text()
    assert "worse on all hosts" in page
    assert 'href="pages/a%40new.html"' in page
    assert Path("out/pages/a@new.html").is_file()
    again = losttick("fleet", "collect", "out", "--json", "--pages", "0")
    assert again.returncode == 1
    said = json.loads(again.stdout)
    assert said["history"] == {"added": 0, "read_again": 5, "complete": True}
    assert [(each["answer"], each["where"]) for each in said["answers"]] == [("worse", "all hosts")]
    assert losttick("fleet", "collect", "out", "--fail-on", "failed").returncode == 0


def test_a_task_without_its_run_is_named(begun: dict[str, Task]) -> None:
    """The words of the engine are printed without its commands to a terminal."""
    for name in ("a@old", "c@old", "b@old"):
        run_of(Path("out"), begun[name], 0)
    run_of(Path("out"), begun["c@new"], 300, facts=other(kernel="6.1.0-1"))
    done = losttick("fleet", "collect", "out", columns=200)
    assert done.returncode == 4
    assert "a@new: no run" in done.stdout
    assert "come back" in done.stdout
    assert "\x1b" not in done.stdout + Path("out/fleet.html").read_text()
    assert "c@new: another kernel: it ran under 6.1.0-1, and not under 6.12.0-1" in done.stdout
    assert "No host tested both old and new, so nothing can be told." in done.stdout


def test_pages_are_not_written_through_links(begun: dict[str, Task], tmp_path: Path) -> None:
    """A run's folder comes from a host: nothing is written into it, or where it leads."""
    run_of(Path("out"), begun["a@old"], 0)
    target = tmp_path / "precious"
    target.write_text("keep")
    (Path("out/runs/a@old") / "run-page.html").symlink_to(target)
    before = sorted(Path("out/runs/a@old").iterdir())
    losttick("fleet", "collect", "out")
    assert target.read_text() == "keep"
    assert sorted(Path("out/runs/a@old").iterdir()) == before


def test_a_fleet_without_the_history_and_the_page(begun: dict[str, Task]) -> None:
    run_of(Path("out"), begun["a@old"], 0)
    done = losttick("fleet", "collect", "out", "--no-history", "--no-html")
    assert "0 runs added" in done.stdout
    assert not Path("history.sqlite").exists()
    assert not Path("out/fleet.html").exists()


def test_the_history_of_the_fleet_file_counts_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_fleet(fleet_file(tmp_path, 'history = "kept.sqlite"\n' + FLEET))
    _, log = begin(loaded, tmp_path / "out")
    log.close()
    run_of(tmp_path / "out", tasks(loaded.fleet)[0], 0)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = losttick("fleet", "collect", str(tmp_path / "out"), "--no-html")
    assert "1 run added" in done.stdout
    assert (tmp_path / "kept.sqlite").is_file()
