"""The folder into which a run writes its journal and evidence."""

import contextlib
import datetime
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from orchestrator.campaign.resume import ResumeError, read_run
from orchestrator.cli.reports import Reports
from orchestrator.errors import InputError
from orchestrator.journal.begun import has_begun
from orchestrator.journal.file import (
    JOURNAL,
    BusyJournalError,
    LostJournalError,
    TakenJournalError,
    is_being_written,
)
from orchestrator.journal.fold import RunState
from orchestrator.journal.out_folder import OutFolder, OutFolderError
from orchestrator.process.background import in_thread
from orchestrator.process.existence import is_folder

DEFAULT_OUT = "losttick-out"


def new_place() -> Path:
    """Return the default output folder of a command, which is named after the time."""
    return Path(DEFAULT_OUT) / datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")


@contextlib.contextmanager
def arm_folders(out: Path, arms: Collection[str], *, shared: bool = False) -> Iterator[list[Path]]:
    """Make the output folders of several arms in one folder; remove those that stay empty.

    Raises:
        OutFolderError: see `out_folder`; or the folder has something else in it.
    """
    with contextlib.ExitStack() as folders:
        folders.callback(_remove_empty, out)
        try:
            others = {each.name for each in out.iterdir()} - set(arms) if is_folder(out) else set()
        except OSError as error:
            raise OutFolderError(f"writing results to {out}: {error.strerror}") from error
        if others:
            raise OutFolderError(
                f"writing results to {out}: it is not empty. Name a new folder with --out."
            )
        yield [folders.enter_context(out_folder(out / arm, shared=shared)) for arm in arms]


@contextlib.contextmanager
def out_folder(out: Path | None, *, shared: bool = False) -> Iterator[Path]:
    """Make the output folder; remove it again if it is empty at the end.

    The journal of a run that did not begin is removed, be it this run's or an earlier one's.

    Args:
        out: the folder; by default one that is named after the time.
        shared: whether it may be a folder that other users can write to.

    Raises:
        OutFolderError: the folder can't be made, has something in it already, another process
            runs there, or another user can write to it.
    """
    path = out or new_place()
    with contextlib.ExitStack() as ending:
        try:
            held = ending.enter_context(OutFolder(path, make=True, shared=shared))
            if not held.lock() or _runs_there(path):
                raise OutFolderError(
                    f"writing results to {path}: another losttick process is running there. Wait "
                    "for its end, or name another folder with --out."
                )
            _remove_unbegun(held)
            if held.names():
                raise OutFolderError(
                    f"writing results to {path}: it is not empty. Name a new folder with --out."
                )
        except OSError as error:
            raise OutFolderError(
                f"writing results to {path}: {error.strerror}. Name another folder with --out."
            ) from error
        try:
            yield path
        finally:
            _remove_unbegun(held)
            _remove_empty(path)


async def run_to_resume(path: Path | None, *, shared: bool = False) -> RunState | None:
    """Read the run to resume, in a folder that nobody else can write to; None for no folder.

    losttick will run the QEMU that the journal names. To read the journal of a million trials
    takes half a minute, in which signals and the watchdog are still served.

    Raises:
        ResumeError: it can't be resumed.
        OutFolderError: another user can write to its folder.
    """
    return await in_thread(_run_to_resume, path, shared=shared) if path else None


def _run_to_resume(path: Path, *, shared: bool) -> RunState:
    try:
        with OutFolder(path, shared=shared) as held:
            return read_run(path, held)
    except OSError as error:
        raise ResumeError(f"resuming the run in {path}: {error.strerror}") from error


@contextlib.contextmanager
def cut_short(say: Callable[[], None], folder: Path, reports: Reports) -> Iterator[None]:
    """Say and report what a run has seen so far, if an error or a signal cuts the block short."""
    try:
        yield
    except (BusyJournalError, TakenJournalError, LostJournalError):
        raise  # the journal there is another process's, or gone
    except BaseException:
        say()
        reports.write_cut_short(folder)
        raise


def _remove_empty(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.rmdir()


def _remove_unbegun(held: OutFolder) -> None:
    """Remove the journal of a run that did not begin, if the folder has nothing else."""
    with contextlib.suppress(OSError, InputError):  # then it stays
        if held.names() == [JOURNAL] and not has_begun(held.path / JOURNAL, held):
            held.remove(JOURNAL)


def _runs_there(path: Path) -> bool:
    """Return whether a run in a folder still goes on."""
    try:
        return is_being_written(path / JOURNAL)
    except OSError:
        return False
