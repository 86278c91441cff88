"""Commands that run in this process, and checks of what `losttick report` writes."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from unittest import mock

import xmlschema
from junitparser.xunit2 import JUnitXml

from orchestrator.cli import main
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.line import encode
from orchestrator.journal.records import Record
from tests.support.places import ROOT

#: The schema of Jenkins' xUnit plugin, from the tests of pytest; the file has its licence.
SCHEMA = ROOT / "tests" / "schemas" / "junit-10.xsd"


def losttick(*args: str | Path, columns: int | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command in this process, as in a terminal of so many columns."""
    command = ["losttick", *map(str, args)]
    width = {} if columns is None else {"COLUMNS": str(columns)}
    with (
        mock.patch.object(sys, "argv", command),
        mock.patch.dict(os.environ, width),
        contextlib.redirect_stdout(io.StringIO()) as output,
        contextlib.redirect_stderr(io.StringIO()) as error,
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert isinstance(code, int)
    return subprocess.CompletedProcess(command, code, output.getvalue(), error.getvalue())


def report(*args: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run `losttick report` in this process."""
    return losttick("report", *args)


def valid_junit(document: str) -> JUnitXml:
    """Return a document, checked against the schema."""
    xmlschema.validate(document, SCHEMA)
    return JUnitXml.fromstring(document.encode())


def written(folder: Path, records: Iterable[Record]) -> Path:
    """Write a journal into a new folder; return the folder."""
    folder.mkdir(parents=True)
    lines = (encode(record, number) for number, record in enumerate(records, 1))
    (folder / JOURNAL).write_bytes(b"".join(lines))
    return folder
