"""What every output is: a form in which results are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from orchestrator.errors import InputError
from orchestrator.results.report import Report


class OutputError(InputError):
    """An output can't be made."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What the user may choose of an output."""

    target: Path | None = None
    """The file that will hold the output, for links from it; None for standard output."""
    junit_properties: bool = False
    """Also give test cases properties, which the schema of Jenkins does not allow."""
    kcidb_origin: str = "losttick"
    """The name of the CI system that submits, as KCIDB knows it."""
    kcidb_build: str = ""
    """The identifier of the tested kernel's build, if somebody submitted it; else empty."""
    commit: str = ""
    """The whole hash of the tested kernel's commit; empty if it is not known."""


class Output(Protocol):
    """A form in which results are written."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return the whole output. The same reports give the same bytes.

        Raises:
            OutputError: this form can't be made here, or can't hold these reports.
        """
        ...


class Service(Protocol):
    """A form for a CI service that runs losttick. It has no file of its own."""

    def publish(self, reports: Sequence[Report], options: OutputOptions) -> str:
        """Hand the results to the service, and return the lines that are to be printed for it.

        Raises:
            OutputError: the service can't be reached.
            TargetError: a disk is full, or failed.
        """
        ...
