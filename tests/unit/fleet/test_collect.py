"""The runs of a fleet, brought together; none of them is trusted, and none is counted twice."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.fleet.answer import Where
from orchestrator.fleet.collect import Collected, collect
from orchestrator.fleet.read_run import Fault, Job, Trouble
from orchestrator.fleet.readers import read_all
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import HostRecord
from orchestrator.results.comparison.compare import Answer
from orchestrator.results.exit_code import ExitCode, gravest
from orchestrator.results.history.entry import About
from orchestrator.results.history.place import HistoryTroubleError
from tests.support.command_here import written
from tests.support.made_fleets import make_fleet, make_task_run
from tests.support.made_history import opened
from tests.support.made_runs import exactly, other


def faults(found: Collected) -> dict[str, str]:
    return {each.task.id: each.fault.trouble for each in found.brought if each.fault}


def test_a_fleet_from_its_folders_to_its_answer(tmp_path: Path) -> None:
    """Two of three hosts have both kernels; the new kernel loses half of its loads."""
    folder, tasks = make_fleet(
        tmp_path / "f", ["h1", "h2", {"name": "h3", "lacks": ["new"]}]
    )  # fmt: skip
    for task in tasks:
        if not task.why_not:
            make_task_run(folder, task, exactly(40 if task.kernel == "new" else 0, 80))
    history = opened(tmp_path)
    seen: list[int] = []
    found = collect(folder, tasks, labels=("nightly",), history=history, seen=seen.append)
    (cell,) = found.answer.cells
    assert (cell.answer, cell.where) == (Answer.WORSE, Where.ALL)
    assert cell.left_out == {"h3": "tested with old only"}
    assert faults(found) == {"h3@new": Trouble.LACKS}
    assert seen == [1, 2, 3, 4, 5]
    assert (found.added, found.again, found.trials) == (5, 0, 400)
    kept = history.runs(label="nightly")
    assert sorted((run.host, run.labels) for run in kept) == [
        ("h1", ("new", "nightly")), ("h1", ("nightly", "old")),
        ("h2", ("new", "nightly")), ("h2", ("nightly", "old")),
        ("h3", ("nightly", "old")),
    ]  # fmt: skip
    again = collect(folder, tasks, labels=("nightly",), history=history)
    assert (again.added, again.again, len(history.runs())) == (0, 5, 5)
    assert again.answer == found.answer


def test_another_kernel_is_a_failure_of_the_harness_and_never_a_verdict(tmp_path: Path) -> None:
    folder, tasks = make_fleet(tmp_path / "f", ["h1"])
    for task in tasks:
        make_task_run(folder, task, exactly(299, 299), facts=other(kernel="6.1.0-1-amd64"))
    history = opened(tmp_path)
    found = collect(folder, tasks, history=history)
    assert faults(found) == {"h1@new": Trouble.OTHER_KERNEL}
    fault = found.brought[1].fault
    assert fault
    assert "under 6.1.0-1-amd64, and not under 6.12.0-2-amd64" in fault.why
    assert found.brought[1].code is ExitCode.HARNESS
    assert [run.labels for run in history.runs()] == [("old",)]
    assert found.answer.cells[0].answer is Answer.CANT_TELL


@pytest.mark.parametrize("kernels", [("new",), ()])
def test_a_run_that_went_on_under_another_kernel(tmp_path: Path, kernels: Sequence[str]) -> None:
    """A cell was counted before the host was booted into the kernel that its last session had."""
    folder, (task,) = make_fleet(tmp_path / "f", ["h1"], kernels)
    run = make_task_run(folder, task, axes={"mode": ["one-shot", "periodic"]})
    records = list(read_journal(run / "journal.jsonl"))
    place = next(n for n, each in enumerate(records) if isinstance(each, HostRecord) and each.cell)
    records[place] = replace(records[place], facts=other(kernel="6.1.0-1-amd64"))
    shutil.rmtree(run)
    written(run, records)
    assert faults(collect(folder, [task])) == {task.id: Trouble.OTHER_KERNEL}


def test_runs_that_are_missing_or_damaged_are_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder, tasks = make_fleet(tmp_path / "f", [f"h{number}" for number in range(1, 8)])
    for task in tasks:
        make_task_run(folder, task)
    news = {task.host: folder.run(task.id) for task in tasks if task.kernel == "new"}
    shutil.rmtree(news["h1"])
    (news["h2"] / "journal.jsonl").write_bytes(b"\x1b[2J\xff" * 1000)
    (news["h3"] / "journal.jsonl").unlink()
    (news["h3"] / "journal.jsonl").symlink_to("/etc/passwd")
    (news["h4"] / "journal.jsonl").unlink()
    os.mkfifo(news["h4"] / "journal.jsonl")
    news["h5"].rename(tmp_path / "elsewhere")
    news["h5"].symlink_to(tmp_path / "elsewhere")
    shutil.copytree(news["h6"], tmp_path / "copy")
    shutil.rmtree(folder.run("h6@old"))
    shutil.move(tmp_path / "copy", folder.run("h6@old"))
    found = collect(folder, tasks, whys={"h1@new": "the host did not come back"})
    assert faults(found) == {
        "h1@new": Trouble.MISSING,
        "h2@new": Trouble.UNREADABLE,
        "h3@new": Trouble.UNREADABLE,
        "h4@new": Trouble.UNREADABLE,
        "h5@new": Trouble.UNREADABLE,
        "h6@old": Trouble.TWICE,
        "h6@new": Trouble.TWICE,
    }
    whys = {each.task.id: each.fault.why for each in found.brought if each.fault}
    assert "the host did not come back" in whys["h1@new"]
    assert "links are not followed" in whys["h3@new"]
    assert "h6@old" in whys["h6@new"]
    assert list(found.answer.cells[0].hosts) == ["h7"]
    assert gravest(found.codes) is ExitCode.HARNESS


def test_a_run_that_was_cut_short_is_not_all_that_was_asked_for(tmp_path: Path) -> None:
    folder, tasks = make_fleet(tmp_path / "f", ["h1"], ["old"])
    make_task_run(folder, tasks[0], ends=False)
    (only,) = collect(folder, tasks).brought
    assert only.run
    assert only.run.unfinished
    assert only.code is ExitCode.INCONCLUSIVE


def test_hosts_are_machines(tmp_path: Path) -> None:
    """Two names of one machine are one host, and two machines of one name are two."""
    folder, tasks = make_fleet(tmp_path / "f", ["h1", "h2", "h3"])
    machines = {"h1": "a" * 16, "h2": "a" * 16}
    for task in tasks:
        own = {"old": "b" * 16, "new": "c" * 16}[task.kernel]
        make_task_run(folder, task, machine=machines.get(task.host, own))
    found = collect(folder, tasks)
    (cell,) = found.answer.cells
    assert list(cell.hosts) == ["h1"]
    assert cell.loads == (598, 598)
    assert set(cell.left_out) == {"h3 (bbbbbbbb)", "h3 (cccccccc)"}
    assert any("h2 and h1 are one machine" in note for note in found.notes)
    assert any("runs of h3 come from 2 machines" in note for note in found.notes)


def test_nodes_that_an_engine_chose_are_compared_with_themselves(tmp_path: Path) -> None:
    """The kernels ran on different nodes: nothing is compared within a host."""
    folder, tasks = make_fleet(
        tmp_path / "f", [], engine="slurm", constraints=[{"name": "web", "constraint": "x"}]
    )
    for task in tasks:
        make_task_run(folder, task, machine=f"machine for {task.kernel}")
    nodes = {"web@old": "node7", "web@new": "node9"}
    found = collect(folder, tasks, nodes=nodes)
    (cell,) = found.answer.cells
    assert set(cell.left_out) == {"node7", "node9"}
    assert cell.answer is Answer.CANT_TELL


class _Full:
    """A history whose disk is full."""

    def add_all(self, entries: object) -> None:
        raise HistoryTroubleError("adding a run to the history h: database or disk is full.")


def test_the_table_stands_where_the_history_fails(tmp_path: Path) -> None:
    folder, tasks = make_fleet(tmp_path / "f", ["h1"], ["old"])
    make_task_run(folder, tasks[0])
    found = collect(folder, tasks, history=_Full())
    assert "disk is full" in found.notes[0]
    assert found.brought[0].run
    assert gravest(found.codes) is ExitCode.HARNESS


def test_many_runs_are_read_by_processes_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tasks = make_fleet(tmp_path / "f", ["h1", "h2", "h3"])
    loads = {task.id: exactly(0, 20 + number) for number, task in enumerate(tasks)}
    for task in tasks:
        make_task_run(folder, task, loads[task.id])
    monkeypatch.setattr("orchestrator.fleet.readers._FEW", 2)
    monkeypatch.setattr("orchestrator.fleet.readers._AT_A_TIME", 2)
    found = collect(folder, tasks)
    assert [each.run.cells[0].trials for each in found.brought if each.run] == list(range(20, 26))


class _Deadly:
    """A folder that ends the process that reads it, as a lack of memory does."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (9,)


def test_a_run_that_ends_its_reader_is_a_fault_of_that_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, tasks = make_fleet(tmp_path / "f", ["h1"])
    jobs = [Job(make_task_run(folder, task), None, About()) for task in tasks]
    deadly = Job(_Deadly(), None, About())  # type: ignore[arg-type]  # nothing asks for its path
    monkeypatch.setattr("orchestrator.fleet.readers._FEW", 2)
    monkeypatch.setattr("orchestrator.fleet.readers._AT_A_TIME", 2)
    first, died, last = read_all([jobs[0], deadly, jobs[1]], 2)
    assert isinstance(died, Fault)
    assert "the process that read it was ended" in died.why
    assert not isinstance(first, Fault)
    assert not isinstance(last, Fault)
