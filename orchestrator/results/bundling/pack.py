"""Packs a run into one file: journal, evidence, consoles, the host's facts and what they mean."""

import io
import itertools
import json
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import InfraError, InputError, own_fault
from orchestrator.host.facts import HostFacts
from orchestrator.journal.archive import Member, zstd
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.plain import plain
from orchestrator.results.bundling.scrub import Scrubber
from orchestrator.results.bundling.secrets import PLACE, Secrets
from orchestrator.results.bundling.source import FOLDERS, run_files
from orchestrator.results.explain import Reader, explain
from orchestrator.results.explanation.text import as_text
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, output
from orchestrator.results.packed_facts import HOST_FILE, WENT_DOWN
from orchestrator.results.report import Report, read_report
from orchestrator.results.result import STILL_GOES_ON
from orchestrator.version import __version__

#: Compresses a journal to about a tenth, at some 30 MB/s. The checksum shows damage on the way.
_OPTIONS = {
    int(zstd.CompressionParameter.compression_level): 10,
    int(zstd.CompressionParameter.checksum_flag): 1,
}

#: The reports in a bundle, by the kind of output; one that can't be made here is left out.
_REPORTS = {"markdown": "report.md", "html": "report.html"}

_README = """\
This is a bundle of losttick {version}: a test whether a KVM host loses timer interrupts when
QEMU loads a snapshot. losttick reads the bundle as it is, without unpacking it:

    losttick show FILE.tar.zst
    losttick explain FILE.tar.zst --for developer

{journal}       one JSON object a line: all that was tried and seen
explanation.txt     what the result means, for a user and for a developer of KVM
host.json           the host, its kernel, CPU and QEMU; the version of losttick
report.*            the reports
evidence/           what was read at each hang
console/, serial/   the output of guests and labs
"""

_ANONYMOUS = """
Names of users and computers, folders, ids and addresses are replaced by stand-ins.
"""


class NotAnonymousError(InfraError):
    """A bundle can't be made anonymous, with the reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"making the bundle anonymous: {reason}. A name that is to be hidden is also a word of "
            "the journal. Give --hide another text, or bundle the run without --anonymous and look "
            "through it yourself."
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A packed run."""

    data: bytes
    files: int
    left_out: tuple[str, ...]
    """Files that a bundle can't hold, and reports that can't be made here, with the reasons."""


def pack(source: Path, secrets: Secrets | None = None) -> Bundle:
    """Pack the run in an output folder or in a bundle. The same run gives the same bytes.

    Args:
        source: the output folder, or the bundle.
        secrets: what to hide; None to hide nothing.

    Raises:
        NoResultError: there is no journal.
        JournalFormatError: the journal can't be understood.
        BundleError: the source is a bundle, and is refused.
        NotAnonymousError: the result would still have something that is to be hidden.
        OSError: a file can't be read.
    """
    report = read_report(source)
    left_out: list[str] = []
    if secrets is None:
        return _packed(_with_made(run_files(source, left_out), report, _README, left_out), left_out)
    _learn(source, secrets)
    scrubber = Scrubber(secrets)
    with tempfile.TemporaryFile() as made:  # it has no name that a kill could leave behind
        # The reports break lines, and could break a name in two. So they are made of the scrubbed
        # result.
        stage = Path(f"/proc/self/fd/{made.fileno()}")
        known = _member(HOST_FILE, json.dumps({WENT_DOWN: report.went_down}).encode())
        hidden = _anonymous(run_files(source, left_out), scrubber)
        made.write(_packed(itertools.chain(hidden, [known]), left_out).data)
        made.flush()
        secrets.hide(str(stage), PLACE)
        try:
            found = read_report(stage)
        except InputError as error:
            raise NotAnonymousError(f"what came out can't be read ({error})") from error
        if report.interrupted != STILL_GOES_ON:
            _check_same(report, found)
        files = _with_made(run_files(stage, left_out), found, _README + _ANONYMOUS, left_out)
        return _packed(_scrubbed(files, scrubber), left_out)


def _check_same(before: Report, after: Report) -> None:
    """Check that what was hidden changed no result.

    Raises:
        NotAnonymousError: it did.
    """
    if _found(before) != _found(after):
        raise NotAnonymousError("the result would be another one")


def _found(report: Report) -> tuple[object, ...]:
    """Return what a run found, without names and reasons."""
    cases = [
        (case.ended.verdict, case.accepted, case.expected, case.exposure.state,
         case.exposure.reason, case.trials, case.lost, case.outcomes, case.causes, case.rate,
         [(each.bug, each.trials, each.exposure.state) for each in case.known_bugs])
        for case in report.cases
    ]  # fmt: skip
    ended = report.interrupted is None
    return report.command, report.verdict, ended, bool(report.went_down), cases


def _packed(files: Iterable[Member], left_out: list[str]) -> Bundle:
    """Return an archive of files; those that it can't hold are left out."""
    sink = io.BytesIO()
    names: set[str] = set()
    with (
        zstd.ZstdFile(sink, "w", options=_OPTIONS) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for member in files:
            info = tarfile.TarInfo(_free(member.name, names))
            info.size = member.size
            if why := _unfit(info):
                left_out.append(f"{member.name!r}: its name {why}")
                continue
            archive.addfile(info, member.content)
            names.add(info.name)
    return Bundle(sink.getvalue(), len(names), tuple(left_out))


def _free(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: without names of people, two files may have the same."""
    return next(
        each
        for number in itertools.count(1)
        if (each := name if number == 1 else f"{name}-{number}") not in taken
    )


def _unfit(info: tarfile.TarInfo) -> str:
    """Return why an archive can't hold a file of this name; empty if it can."""
    if not info.name.isprintable() or "\\" in info.name:
        return "is not printable"
    try:
        info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        return "is too long, or it has 8 GiB or more"
    return ""


def _with_made(
    files: Iterable[Member], report: Report, readme: str, left_out: list[str]
) -> Iterator[Member]:
    """Yield the files of a run, and after the journal what is made of its result."""
    for member in files:
        yield member
        if member.name == JOURNAL:
            for name, content in _made(report, readme, left_out):
                yield _member(name, content)


def _member(name: str, content: bytes) -> Member:
    return Member(name, len(content), io.BytesIO(content))


def _anonymous(files: Iterable[Member], scrubber: Scrubber) -> Iterator[Member]:
    """Yield files without secrets."""
    for member in files:
        name = scrubber.text(member.name.encode("utf-8", "surrogateescape")).decode(
            errors="replace"
        )
        if member.name == JOURNAL:
            with tempfile.TemporaryFile() as kept:
                for line in scrubber.journal(_lines(member)):
                    kept.write(line)
                size = kept.tell()
                kept.seek(0)
                yield Member(name, size, kept)
            continue
        content = member.content.read(member.size)
        yield _member(name, scrubber.file(name, content))


def _scrubbed(files: Iterable[Member], scrubber: Scrubber) -> Iterator[Member]:
    """Yield the files of an anonymous bundle; those that were made of a result are scrubbed too."""
    for member in files:
        if member.name == JOURNAL or member.name.partition("/")[0] in FOLDERS:
            yield member
        else:
            yield _member(member.name, scrubber.file(member.name, member.content.read(member.size)))


def _lines(member: Member) -> Iterator[bytes]:
    left = member.size
    while left > 0 and (line := member.content.readline(left)):
        left -= len(line)
        yield line


def _made(report: Report, readme: str, left_out: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield the files that a bundle has beside those of the run."""
    yield "README.txt", readme.format(version=__version__, journal=JOURNAL).encode()
    said = (as_text(explain(report, reader)) for reader in (Reader.USER, Reader.DEVELOPER))
    yield "explanation.txt", "\n\n".join(said).encode("utf-8", "backslashreplace")
    yield HOST_FILE, _host(report)
    # A path of this computer leads nowhere on another one, and its spellings would differ.
    report = replace(report, shown_as=report.folder.resolve().name)
    for kind, name in _REPORTS.items():
        if kind not in OUTPUTS:
            continue
        try:
            yield name, output(kind).render([report], OutputOptions(report.folder / name))
        except OutputError as error:
            left_out.append(f"{name}: {error}")
        except Exception as error:
            left_out.append(own_fault(name, error).rstrip("."))


def _host(report: Report) -> bytes:
    """Return the hosts of a run, and the versions of losttick, as JSON."""
    found: dict[str, Any] = {
        "losttick": report.losttick or __version__,
        "bundled_by": __version__,
        "command": report.command,
        "verdict": report.verdict.value,
        WENT_DOWN: report.went_down or None,
        "seed": report.seed,
        "host": _facts(report.facts),
        "cases": {case.name: _facts(case.facts) for case in report.cases},
        "labs": {case.name: plain(case.lab) for case in report.cases if case.lab},
    }
    # A cell names its host only if that is another one than the run's.
    found["cases"] = {name: each for name, each in found["cases"].items() if each != found["host"]}
    return (json.dumps(found, indent=2) + "\n").encode()


def _facts(facts: HostFacts | None) -> dict[str, Any] | None:
    """Return the facts of a host as plain data, without what its QEMU can do."""
    found: dict[str, Any] | None = plain(facts)
    if found and found["qemu"]:
        for name in ("commands", "migration", "machines", "machine_aliases"):
            del found["qemu"][name]
    return found


def _learn(source: Path, secrets: Secrets) -> None:
    """Learn from the files of a run whose homes, which domains and versions they name."""
    for member in run_files(source, []):
        for line in _lines(member):
            if b"/home/" in line or b"/Users/" in line:
                secrets.learn_homes(line.decode("utf-8", "surrogateescape"))
            if b"@" in line or b"//" in line:
                secrets.learn_domains(line.decode("utf-8", "surrogateescape"))
            if member.name == JOURNAL and (b'"kernel"' in line or b'"version"' in line):
                secrets.learn_versions(line.decode("utf-8", "surrogateescape"))
