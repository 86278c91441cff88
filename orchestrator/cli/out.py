"""The folder into which a run writes its journal and evidence."""

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path

from orchestrator.errors import InputError

DEFAULT_OUT = "losttick-out"


class OutFolderError(InputError):
    """The output folder can't be used."""


@contextlib.contextmanager
def out_folder(out: Path | None) -> Iterator[Path]:
    """Make the output folder; remove it again if it is empty at the end.

    Raises:
        OutFolderError: the folder can't be made, or has something in it already.
    """
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = out or Path(DEFAULT_OUT) / stamp
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutFolderError(
                f"writing results to {folder}: it is not empty. Name a new folder with --out."
            )
    except OSError as error:
        raise OutFolderError(
            f"writing results to {folder}: {error.strerror}. Name another folder with --out."
        ) from error
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):
            folder.rmdir()
