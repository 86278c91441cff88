"""KCIDB: the JSON in which kernel CI systems share their results, schema v5.3.

The schema knows no nulls, no further properties and no NUL characters. Identifiers follow from
the results, so that to submit a file again changes nothing.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from orchestrator.bugs.known_bug import KnownBug
from orchestrator.findings.lab import LabIdentity
from orchestrator.host.facts import HostFacts
from orchestrator.journal.plain import plain
from orchestrator.results.outputs.about import about_case, about_run
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.printable import one_line, printable
from orchestrator.results.report import Case, Report, is_time
from orchestrator.results.status import Status
from orchestrator.verdict.direct import HostResult

MAJOR, MINOR = 5, 3

_STATUS = {
    Status.PASSED: "PASS",
    Status.KNOWN_BUG: "FAIL",
    Status.FAULT: "FAIL",
    Status.ERROR: "ERROR",
    Status.HARNESS: "MISS",
    Status.SKIPPED: "SKIP",
}

#: The version of the issues. KCIDB takes the text of the highest: raise it if a text changes.
_ISSUE_VERSION = 1

#: The longest log excerpt.
_EXCERPT = 16_384

#: Evidence folders of a test that are named.
_EVIDENCE = 30

_ORIGIN = re.compile(r"[a-z0-9_]+")

_BUILD = re.compile(r"[a-z0-9_]+:[^\0-\x20]+")

_COMMIT = re.compile(r"[0-9a-f]{40}")

#: A commit in the name of a kernel, as CONFIG_LOCALVERSION_AUTO writes it.
_IN_RELEASE = re.compile(r"-g([0-9a-f]{40})\b")


class Kcidb:
    """Results as KCIDB takes them."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return checkouts, builds, tests, issues and incidents of all runs.

        Raises:
            OutputError: the origin, the build or the commit can't be used.
        """
        _check(reports, options)
        submission = _Submission(options)
        for report in reports:
            for case in report.cases:
                submission.add(case, report)
        return (json.dumps(submission.whole(), indent=2) + "\n").encode()


def _check(reports: Sequence[Report], options: OutputOptions) -> None:
    if not _ORIGIN.fullmatch(options.kcidb_origin):
        raise OutputError(
            f"writing KCIDB: the origin {options.kcidb_origin!r} is not the name of a CI system: "
            "lower-case letters, digits and underscores"
        )
    if options.kcidb_build and not _BUILD.fullmatch(options.kcidb_build):
        raise OutputError(
            f"writing KCIDB: {options.kcidb_build!r} is not the identifier of a build, such as "
            "maestro:67d409f9f378f0c5986dc7df"
        )
    if options.commit and not _COMMIT.fullmatch(options.commit):
        raise OutputError(
            f"writing KCIDB: {options.commit!r} is not the whole hash of a commit, which has 40 "
            "lower-case hexadecimal digits (`git rev-parse HEAD` prints it)"
        )
    kernels = {_release(case) for report in reports for case in report.cases}
    kernels.discard("")
    if len(kernels) > 1 and (options.commit or options.kcidb_build):
        raise OutputError(
            "writing KCIDB: one commit or build was given for the kernels "
            f"{', '.join(sorted(kernels))}. Report each run by itself."
        )
    edited = {
        case.lab.name
        for report in reports
        for case in report.cases
        if case.lab and not case.lab.untouched
    }
    if edited and options.kcidb_build:
        raise OutputError(
            f"writing KCIDB: {options.kcidb_build} was given as the build of edited kernels, which "
            f"are builds of their own: {', '.join(map(one_line, sorted(edited)))}. Leave out "
            "--kcidb-build, or test untouched kernels alone."
        )


class _Submission:
    """The objects of one file, each once."""

    def __init__(self, options: OutputOptions) -> None:
        self._origin = options.kcidb_origin
        self._commit = options.commit
        self._submitted = options.kcidb_build
        self._checkouts: dict[str, Any] = {}
        self._builds: dict[str, Any] = {}
        self._tests: dict[str, Any] = {}
        self._issues: dict[str, Any] = {}
        self._incidents: dict[str, Any] = {}

    def whole(self) -> dict[str, Any]:
        """Return the file's content."""
        return {
            "version": {"major": MAJOR, "minor": MINOR},
            "checkouts": list(self._checkouts.values()),
            "builds": list(self._builds.values()),
            "tests": list(self._tests.values()),
            "issues": list(self._issues.values()),
            "incidents": list(self._incidents.values()),
        }

    def add(self, case: Case, report: Report) -> None:
        """Add a case as a test, with all that it refers to."""
        # A lab's own host never stands for a machine in the lab that did not come up.
        facts = case.facts if case.lab else case.facts or report.facts
        build = self._submitted or self._build(facts, case.lab)
        name = self._id(report.identity, case.name)
        self._tests[name] = {
            "id": name,
            "origin": self._origin,
            "build_id": build,
            "path": path(report.command, case.name),
            "status": _STATUS[case.status],
            "comment": one_line(f"{case.verdict}: {case.why}"),
            "log_excerpt": _excerpt(case, report),
            **({"environment": _environment(facts, case.lab)} if facts else {}),
            **_number(case),
            **_times(case),
            "misc": _misc(case, report),
        }
        # An edit may have brought the bug: an edited kernel tells nothing about its checkout.
        of_the_checkout = case.lab is None or case.lab.untouched
        if case.status is Status.KNOWN_BUG and of_the_checkout and case.bug:
            self._incident(name, case.bug.bug, case)

    def _build(self, facts: HostFacts | None, lab: LabIdentity | None) -> str:
        release = facts.kernel if facts else lab.version if lab else "unknown"
        checkout = self._checkout(release, lab)
        build = facts.kernel_build if facts else "unknown"
        edits = list(lab.edits) if lab else []
        name = self._id(checkout, release, build, *edits)
        self._builds[name] = {
            "id": name,
            "origin": self._origin,
            "checkout_id": checkout,
            "architecture": "x86_64",
            **({"status": "PASS"} if facts else {}),  # it booted
            "comment": one_line(
                f"{release} {build}" + (f", KVM modules edited: {', '.join(edits)}" * bool(edits))
            ),
        }
        return name

    def _checkout(self, release: str, lab: LabIdentity | None) -> str:
        in_release = _IN_RELEASE.search(release)
        commit = self._commit or (in_release[1] if in_release else "")
        kernel = lab.version if lab else release
        name = self._id(commit or kernel)
        self._checkouts[name] = {
            "id": name,
            "origin": self._origin,
            "git_commit_name": one_line(kernel),
            **({"git_commit_hash": commit} if commit else {}),
            "patchset_hash": "",
            "comment": one_line(f"The kernel {kernel}, as losttick met it"),
            "valid": True,
        }
        return name

    def _incident(self, test: str, bug: KnownBug, case: Case) -> None:
        issue = f"{self._origin}:{re.sub(r'[^a-z0-9]+', '-', bug.name.lower()).strip('-')}"
        self._issues[issue] = {
            "id": issue,
            "version": _ISSUE_VERSION,
            "origin": self._origin,
            "report_subject": f"KVM: the {bug.name} {bug.effect}",
            "culprit": {"code": True, "tool": False, "harness": False},
            "comment": (
                f"Kernels: {bug.affected_kernels} (distributions backport). "
                f"Fixed by: {bug.fixed_by}. {bug.advice}"
            ),
        }
        name = self._id(test, issue)
        self._incidents[name] = {
            "id": name,
            "origin": self._origin,
            "issue_id": issue,
            "issue_version": _ISSUE_VERSION,
            "test_id": test,
            "present": True,
            "comment": one_line(case.why),
        }

    def _id(self, *parts: str) -> str:
        """Return the identifier that follows from these parts."""
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
        return f"{self._origin}:{digest[:32]}"


def path(command: str, name: str) -> str:
    """Return the path of a test, in which only a few characters are allowed."""
    parts = ["losttick", *command.split(" "), *name.split("/")]
    return ".".join(re.sub(r"[^A-Za-z0-9_-]", "_", part) or "_" for part in parts)


def _release(case: Case) -> str:
    return case.lab.version if case.lab else case.facts.kernel if case.facts else ""


def _excerpt(case: Case, report: Report) -> str:
    lines = [*about_case(case, report), *about_run(report)]
    text = "\n".join(map(one_line, lines))
    # The limit counts characters; a database may count bytes.
    return text.encode()[:_EXCERPT].decode(errors="ignore")


def _environment(facts: HostFacts, lab: LabIdentity | None) -> dict[str, Any]:
    emulated = f", emulated by {lab.emulator}" if lab else ""
    microcode = f", microcode {facts.microcode}" if facts.microcode else ""
    host = plain(facts)
    for long in ("commands", "migration", "machines", "machine_aliases"):
        (host["qemu"] or {}).pop(long, None)
    return {
        "comment": one_line(f"{facts.cpu} ({facts.family_model_stepping}){microcode}{emulated}"),
        "misc": _without_nulls(host),
    }


def _number(case: Case) -> dict[str, Any]:
    if case.rate is None or case.rate.estimate is None:
        return {}
    of = {"value": case.rate.estimate, "unit": f"lost/{case.rate.per}", "prefix": "metric"}
    return {"number": of}


def _times(case: Case) -> dict[str, Any]:
    seconds = case.seconds
    return {
        **({"start_time": case.began_at} if is_time(case.began_at) else {}),
        **({"duration": seconds} if seconds is not None else {}),
    }


def _misc(case: Case, report: Report) -> dict[str, Any]:
    found = {
        "losttick": report.losttick or None,
        "cell": case.name,
        "verdict": str(case.verdict),
        "expected": case.expected and str(case.expected),
        "meaning": case.meaning,
        "exposure": plain(case.exposure),
        "loads": case.trials,
        "lost": case.lost,
        "series": plain(case.result.series) if isinstance(case.result, HostResult) else None,
        "outcomes": dict(case.outcomes),
        "diagnoses": dict(case.causes),
        "loss_rate": plain(case.rate),
        "known_bugs": [case.bug.bug.name] if case.bug else [],
        "looks_like": [each.bug.name for each in case.resembled] or None,
        "evidence": list(case.evidence[:_EVIDENCE]),
        "evidence_folders": len(case.evidence),
        "lab": plain(case.lab),
        "seed": report.seed,
        "interrupted": report.interrupted,
        "went_down": report.went_down or None,
    }
    cleaned: dict[str, Any] = _without_nulls(found)
    return cleaned


def _without_nulls(value: Any) -> Any:
    """Return plain data without what is null, and with escapes for what can't be printed."""
    match value:
        case dict():
            return {
                printable(str(key)): _without_nulls(each)
                for key, each in value.items()
                if each is not None
            }
        case list() | tuple():
            return [_without_nulls(each) for each in value if each is not None]
        case str():
            return printable(value)
    return value


OUTPUT = Kcidb()
