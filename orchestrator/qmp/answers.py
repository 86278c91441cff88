"""The forms of QEMU's answers and events, as far as losttick reads them.

The classes have the names that QEMU gives its types, where it names them (qapi/*.json). An answer
in another form raises AnswerError, so that a QEMU that talks nonsense is trouble of its own
instance and of nothing else. Further members of an answer are ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError

from orchestrator.qmp.errors import AnswerError

T = TypeVar("T")

#: Characters of an answer that an error message shows.
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """`query-status`."""

    status: str


@dataclass(frozen=True, slots=True)
class CpuInfoFast:
    """An entry of `query-cpus-fast`."""

    thread_id: Annotated[int, Field(alias="thread-id", gt=0, lt=2**31)]
    qom_path: Annotated[str, Field(alias="qom-path")]


@dataclass(frozen=True, slots=True)
class JobInfo:
    """An entry of `query-jobs`."""

    id: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class MigrationInfo:
    """`query-migrate`. Before the first migration it is empty."""

    status: str = ""
    error_desc: Annotated[str, Field(alias="error-desc")] = "for no reason given"


@dataclass(frozen=True, slots=True)
class JobStatusData:
    """The data of the event `JOB_STATUS_CHANGE`."""

    id: str
    status: str


@dataclass(frozen=True, slots=True)
class JobChange:
    """The event `JOB_STATUS_CHANGE`."""

    data: JobStatusData


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The data of the event `MIGRATION`."""

    status: str


@dataclass(frozen=True, slots=True)
class MigrationChange:
    """The event `MIGRATION`."""

    data: MigrationStatus


@dataclass(frozen=True, slots=True)
class VersionTriple:
    """The number of a version of QEMU."""

    major: int
    minor: int
    micro: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.micro}"


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """`query-version`."""

    qemu: VersionTriple
    package: str


@dataclass(frozen=True, slots=True)
class CommandInfo:
    """An entry of `query-commands`."""

    name: str


@dataclass(frozen=True, slots=True)
class KvmInfo:
    """`query-kvm`."""

    present: bool


@dataclass(frozen=True, slots=True)
class MigrationCapabilityStatus:
    """An entry of `query-migrate-capabilities`."""

    capability: str


@dataclass(frozen=True, slots=True)
class SchemaInfo:
    """An entry of `query-qmp-schema`."""

    meta_type: Annotated[str, Field(alias="meta-type")]
    values: tuple[str, ...] = ()
    """The values of an enum."""


@dataclass(frozen=True, slots=True)
class MachineInfo:
    """An entry of `query-machines`."""

    name: str
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class CommandLineParameterInfo:
    """A part of an option of QEMU's command line."""

    name: str


@dataclass(frozen=True, slots=True)
class CommandLineOptionInfo:
    """An entry of `query-command-line-options`."""

    parameters: list[CommandLineParameterInfo]


@cache
def _adapter(form: Any) -> TypeAdapter[Any]:
    return TypeAdapter(form)


def understood(name: str, form: type[T], answer: object) -> T:
    """Return an answer or an event in its form.

    Args:
        name: the command or the event.
        form: a class of this module, or a list of such.
        answer: what QEMU sent.

    Raises:
        AnswerError: the answer has another form.
    """
    if isinstance(answer, Mapping):  # an event is no dict
        answer = dict(answer)
    try:
        found: T = _adapter(cast(Any, form)).validate_python(answer)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        said = repr(answer)
        said = said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…"
        where = f"{place}: " if place else ""
        raise AnswerError(
            name, f"not understood: {where}{first['msg']} (QEMU sent {said})", answer=answer
        ) from None
    return found
