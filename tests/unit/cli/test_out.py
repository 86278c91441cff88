"""The output folder of a command: refused before anything is started."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli.app import whole_app
from orchestrator.cli.exits import ExitCode
from orchestrator.cli.out import out_folder
from orchestrator.journal.file import Journal
from orchestrator.journal.out_folder import OutFolderError
from tests.support.foreign_user import OtherUser

RUN, HOST, PLAN = (f'{{"record":"{kind}","seq":1}}' for kind in ("run", "host", "plan"))


def test_an_empty_folder_is_removed_again(tmp_path: Path) -> None:
    with out_folder(tmp_path / "a" / "out") as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with out_folder(tmp_path / "out") as folder:
        (folder / "console").mkdir()
    assert folder.exists()


@pytest.mark.parametrize(
    "left", ["", '{"record":"ru', f"{RUN}", f"{RUN}\n{HOST}\n", f"{RUN}\n{HOST}"]
)
def test_a_run_that_did_not_begin_is_started_again_in_its_folder(tmp_path: Path, left: str) -> None:
    """A full disk or a kill left a journal without a plan."""
    (journal := tmp_path / "journal.jsonl").write_text(left)
    with out_folder(tmp_path) as folder:
        assert not list(folder.iterdir())
        journal.write_text(left)  # and once more
    assert not tmp_path.exists()


@pytest.mark.parametrize(
    "left", [f"{RUN}\n{PLAN}\n", f"{RUN}\n{HOST}\n{PLAN}\n", "notes", '{"a": 1}\n']
)
def test_a_run_that_began_and_a_file_of_somebody_are_kept(tmp_path: Path, left: str) -> None:
    (tmp_path / "journal.jsonl").write_text(left)
    with pytest.raises(OutFolderError, match="it is not empty"), out_folder(tmp_path):
        pytest.fail("a run in a folder that is not empty")
    assert (tmp_path / "journal.jsonl").read_text() == left


def test_two_processes_in_one_folder(tmp_path: Path) -> None:
    """The second is refused before the first has written anything, and leaves the folder."""
    with out_folder(tmp_path / "out") as folder:
        for _ in range(2):
            with (
                pytest.raises(OutFolderError, match="another losttick process is running there"),
                out_folder(folder),
            ):
                pytest.fail("two runs in one folder")
        assert folder.is_dir()
        (folder / "journal.jsonl").write_text(f"{PLAN}\n")
    with pytest.raises(OutFolderError, match="it is not empty"), out_folder(folder):
        pytest.fail("a second run in one folder")


def test_a_run_that_goes_on_is_said_to(tmp_path: Path) -> None:
    """The journal's lock tells, because some network file systems lock no folders."""
    with (
        Journal(tmp_path / "journal.jsonl"),
        pytest.raises(OutFolderError, match="another losttick process is running there"),
        out_folder(tmp_path),
    ):
        pytest.fail("two runs in one folder")


@pytest.mark.parametrize("option", ["--out", "--resume"])
def test_the_folder_of_another_user(other_user: OtherUser, option: str, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    other_user.sh(f"mkdir -p out; ln -s {precious} out/journal.jsonl")
    done = CliRunner().invoke(whole_app(), ["run", option, str(other_user.home / "out")])
    assert done.exit_code == ExitCode.USAGE
    assert "it belongs to user nobody" in done.stderr
    assert "--shared-out" in done.stderr
    assert precious.read_text() == "precious"
