"""A resumed run, and one that is shown, say that the host went down, and in which trial."""

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.cli.run_table import print_run
from orchestrator.cli.screen import Screen
from orchestrator.host.boot import BOOT_ID, HOST_NAME, MACHINE_ID, Boot, boot_here
from orchestrator.host.local_facts import cpu_here
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.line import encode
from orchestrator.journal.records import FORMAT, DirectRecord, SkipRecord
from orchestrator.results.bundling.pack import pack
from orchestrator.results.bundling.secrets import Secrets
from orchestrator.results.outputs.github import summary as summary_of_step
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, output, service
from orchestrator.results.report import read_report
from orchestrator.results.result import read_result
from orchestrator.results.summary import summary
from orchestrator.testing import FACTS, FakeHost, Script, immediate
from orchestrator.vm.config import Accel
from tests.support.bundles import archive, write_bundle
from tests.support.bundles import entry as file
from tests.support.command_here import written
from tests.support.cut_short_runs import PLAN
from tests.support.heard import Heard
from tests.support.journal import journal_dicts
from tests.support.needs import not_applicable
from tests.support.run_folders import make_run_folder

#: What this computer is known by. Without an id it is not known.
MACHINE, NAME = (
    Path(path).read_text().strip() if Path(path).exists() else ""
    for path in (MACHINE_ID, HOST_NAME)
)

known = pytest.mark.usefixtures("machine_known")


@pytest.fixture
def machine_known() -> None:
    if not boot_here().machine:
        not_applicable(f"there is no {MACHINE_ID}")


class Booted(FakeHost):
    """This computer in another boot, or another computer."""

    def __init__(
        self, boot: str, *, machine: str | None = MACHINE, name: str = NAME, cpu: str | None = None
    ) -> None:
        super().__init__(Script(immediate), replace(FACTS, cpu=cpu or cpu_here()))
        texts = {BOOT_ID: boot, MACHINE_ID: machine, HOST_NAME: name}
        self.files = {path: f"{text}\n" for path, text in texts.items() if text}

    async def read_file(self, path: str) -> str:
        return self.files[path] if path in self.files else await super().read_file(path)


async def session(
    out: Path, boot: str | Booted, *, lines: int = 0, killed: bool = True
) -> list[str]:
    """Run or resume until the journal has so many lines; return the notes of the session.

    Args:
        out: folder of the run.
        boot: name of the boot, or the host.
        lines: of the journal after which the session ends; 0 for never.
        killed: whether it ends without a record of its end.
    """
    heard = Heard()
    resumed = read_run(out) if (out / JOURNAL).exists() else None
    host = boot if isinstance(boot, Booted) else Booted(boot)
    running = run_plan(host, PLAN, Accel.KVM, out, heard, resumed=resumed)  # type: ignore[arg-type]
    task = asyncio.create_task(running)
    while lines and not task.done():
        written = (out / JOURNAL).read_bytes().count(b"\n") if (out / JOURNAL).exists() else 0
        if written >= lines:
            task.cancel()
        await asyncio.sleep(0.002)
    await asyncio.gather(task, return_exceptions=lines != 0)
    if lines and killed:
        whole = (out / JOURNAL).read_bytes().splitlines(keepends=True)
        (out / JOURNAL).write_bytes(b"".join(whole[:lines]))
    return heard.notes


def first_trials(out: Path) -> int:
    """Return the number of the line of the third trial of a host."""
    records = journal_dicts(out / JOURNAL)
    found = [
        number for number, record in enumerate(records, 1)
        if record["record"] == "trial" and record["role"] == "host"
    ]  # fmt: skip
    return found[2]


@pytest.fixture
async def cut(tmp_path: Path) -> tuple[Path, int]:
    (whole := tmp_path / "whole").mkdir()
    await session(whole, "boot-1")
    return tmp_path, first_trials(whole)


async def test_the_trial_is_named_in_which_the_host_went_down(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    state = read_run(out)
    assert state.boot.id == "boot-1"
    running = [cell for cell in state.cells.values() if cell.trials]
    notes = await session(out, "boot-2")
    (note,) = [note for note in notes if "host" in note]
    last = state.cells[state.in_cell or ""]
    assert last in running
    assert note.startswith(
        f"The host went down in trial {last.trials + 1} of {last.cell.id}: it was booted since"
    )
    assert read_run(out).boot.id == "boot-2"
    boots = [r["boot_id"] for r in journal_dicts(out / JOURNAL) if "boot_id" in r]
    assert boots == ["boot-1", "boot-2"]


@pytest.mark.parametrize(("before", "after"), [("boot-1", "boot-1"), ("", "b"), ("b", "")])
async def test_a_host_of_which_that_is_not_known_did_not_go_down(
    cut: tuple[Path, int], before: str, after: str
) -> None:
    out, lines = cut
    await session(out, before, lines=lines)
    assert not [note for note in await session(out, after) if "boot" in note]


async def test_a_host_that_was_booted_after_the_end_of_a_session(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines, killed=False)
    notes = [note for note in await session(out, "boot-2") if "boot" in note]
    assert notes == ["The host was booted since the previous session."]


@known
async def test_show_names_the_trial_in_which_this_computer_went_down(
    cut: tuple[Path, int],
) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    state = read_run(out)
    trial = state.cells[state.in_cell or ""].trials + 1
    where = f"in trial {trial} of {state.in_cell}"
    result = read_result(out)
    assert result.went_down == where
    assert summary(result)["went_down"] == read_report(out).went_down == where
    print_run(Screen(Console(file=(text := io.StringIO()), width=80)), result)
    said = f"The run has not ended: the host went down {where}."
    assert said.replace(" ", "") in "".join(text.getvalue().split())


@known
@pytest.mark.parametrize(
    "host",
    [
        Booted("boot-1", machine="0123456789abcdef0123456789abcdef"),
        Booted("boot-1", name=f"not-{NAME}"),
        Booted("boot-1", cpu="Another CPU"),
        Booted("boot-1", machine=None),
        Booted(""),
        Booted(boot_here().id),
    ],
    ids=["another-id", "another-name", "another-cpu", "no-id", "no-boot", "this-boot"],
)
async def test_show_says_nothing_of_another_computer_or_of_this_boot(
    cut: tuple[Path, int], host: Booted
) -> None:
    out, lines = cut
    await session(out, host, lines=lines)
    result = read_result(out)
    assert result.went_down == ""
    assert summary(result)["went_down"] is None
    assert result.interrupted == "its journal names no reason"


@known
async def test_show_says_nothing_of_a_session_that_came_to_its_end(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines, killed=False)
    assert read_result(out).went_down == ""
    await session(out, "boot-1")
    assert read_result(out).went_down == ""


async def test_a_run_that_another_computer_goes_on_with_did_not_go_down(
    cut: tuple[Path, int],
) -> None:
    out, lines = cut
    await session(out, Booted("boot-1", machine="a" * 32), lines=lines)
    notes = await session(out, Booted("boot-2", machine="b" * 32))
    assert not [note for note in notes if "boot" in note or "went down" in note]


def named(out: Path) -> tuple[str, ...]:
    """Return where a run that has come to its end says that the host went down."""
    result = read_result(out)
    down = [cell for cell in result.cells if cell.counts.went_down]
    for cell in down:
        assert f"The host went down {' and '.join(cell.counts.went_down)}" in cell.why
    return tuple(f"{each} of {cell.cell.id}" for cell in down for each in cell.counts.went_down)


async def test_a_run_that_goes_on_does_not_forget_that_the_host_went_down(
    cut: tuple[Path, int],
) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    where = read_run(out).went_down
    assert where
    await session(out, "boot-2")
    assert named(out) == (where,)
    cells = read_result(out).cells
    assert sum(cell.counts.unknown_attempts for cell in cells) == 1, "that load has no result"
    for kind, entry in OUTPUTS.items():
        if entry.file:
            said = output(kind).render([read_report(out)], OutputOptions()).decode()
            assert f"The host went down {where.partition(' of ')[0]}" in said, kind


async def test_each_trial_is_named_in_which_the_host_went_down(cut: tuple[Path, int]) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    first = read_run(out).went_down
    await session(out, "boot-2", lines=lines + 8)
    second = read_run(out).went_down
    await session(out, "boot-3")
    assert sorted(named(out)) == sorted((first, second))


@pytest.mark.parametrize(
    ("killed", "after"),
    [(False, "boot-2"), (True, "boot-1"), (True, "")],
    ids=["end-noted", "same-boot", "not-known"],
)
async def test_a_run_is_not_said_to_have_taken_its_host_down(
    cut: tuple[Path, int], killed: bool, after: str
) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines, killed=killed)
    await session(out, after)
    assert named(out) == ()


@known
async def test_every_output_names_the_trial(
    cut: tuple[Path, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    found = read_report(out)
    assert found.went_down
    for kind, entry in OUTPUTS.items():
        if entry.file:
            said = output(kind).render([found], OutputOptions()).decode()
        else:
            said = service(kind).publish([found], OutputOptions())
        assert f"the host went down {found.went_down}" in said, kind
    assert f"the host went down {found.went_down}" in summary_of_step([found]).decode()


@known
@pytest.mark.parametrize(
    ("boot", "machine", "where"),
    [
        ("boot-1", boot_here().machine, "in the test of b"),
        ("boot-1", "another", ""),
        ("boot-1", "", ""),
        (boot_here().id, boot_here().machine, ""),
    ],
)
def test_a_direct_test_names_the_host_that_it_was_testing(
    boot: str, machine: str, where: str, tmp_path: Path
) -> None:
    begun = DirectRecord(FORMAT, "0", ("a", "b"), 0.95, boot_id=boot, machine=machine)
    out = written(tmp_path / "out", [begun, SkipRecord("a", "no KVM")])
    found = read_report(out)
    assert found.went_down == where
    said = f"the host went down {where}" if where else "its journal names no reason"
    assert found.interrupted == said


@known
@pytest.mark.parametrize("hidden", [None, "tick"], ids=["open", "anonymous"])
async def test_a_bundle_that_was_packed_on_the_host_names_the_trial_elsewhere(
    cut: tuple[Path, int], hidden: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    out, lines = cut
    await session(out, "boot-1", lines=lines)
    known = read_report(out).went_down
    secrets = Secrets() if hidden else None
    bundle, again, late = (tmp_path / name for name in ("bundle", "again", "late"))
    bundle.write_bytes(pack(out, secrets).data)
    # Elsewhere, where this computer's id and name are not known.
    monkeypatch.setattr("orchestrator.results.result.boot_here", Boot)
    assert read_report(out).went_down == ""
    assert read_report(bundle).went_down == known != ""
    assert read_result(bundle).interrupted == f"the host went down {known}"
    again.write_bytes(pack(bundle, secrets).data)
    assert read_report(again).went_down == known
    late.write_bytes(pack(out, secrets).data)
    assert read_report(late).went_down == ""


@pytest.mark.parametrize(
    "facts", [b"", b"{", b"[]", b"\xff", b"[" * 200_000, b'{"went_down":null}']
)
def test_a_bundle_may_have_any_facts_of_its_host(facts: bytes, tmp_path: Path) -> None:
    journal = encode(DirectRecord(FORMAT, "1", ("host",), 0.95), 1)
    bundle = write_bundle(
        tmp_path / "b", archive([file(JOURNAL, journal), file("host.json", facts)])
    )
    assert read_report(bundle).went_down == ""


def test_a_bundle_can_say_nothing_that_its_journal_contradicts(tmp_path: Path) -> None:
    journal = (make_run_folder("clean", tmp_path / "run") / JOURNAL).read_bytes()
    claim = file("host.json", b'{"went_down":"x"}')
    bundle = write_bundle(tmp_path / "b", archive([file(JOURNAL, journal), claim]))
    assert read_report(bundle).went_down == ""


@known
def test_a_bundle_of_a_direct_test_says_that_the_host_went_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = DirectRecord(FORMAT, "1", ("host",), 0.95, boot_id="b", machine=boot_here().machine)
    out, bundle = tmp_path / "out", tmp_path / "bundle"
    out.mkdir()
    (out / JOURNAL).write_bytes(encode(record, 1))
    bundle.write_bytes(pack(out).data)
    monkeypatch.setattr("orchestrator.results.direct.boot_here", Boot)
    assert read_report(out).went_down == ""
    assert read_report(bundle).went_down == "in the test of host"
