"""Writes the files of an export."""

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.errors import InputError


class ExportError(InputError):
    """The files of an export can't be written."""


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write files into a folder that is new or empty. Scripts can be run.

    Args:
        folder: where to.
        files: texts, by their paths in the folder.

    Raises:
        ExportError: the folder has something in it, or can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ExportError(
                f"exporting to {folder}: it is not empty. Name a new folder with --out."
            )
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
                if text.startswith("#!"):
                    os.fchmod(file.fileno(), 0o755)
    except OSError as error:
        raise ExportError(
            f"exporting to {folder}: {error.strerror}. Name another folder with --out."
        ) from error
