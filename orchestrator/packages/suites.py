"""The kernel packages of a Debian suite, and how they are fetched."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.cache.workshop import cache_folder, workshop
from orchestrator.packages.apt import PackagesError, apt, fetching_tool, package_tool

_KERNEL_PACKAGE = r"^linux-(image|binary|modules|headers|kbuild|source)-"


#: apt's words for a suite that a mirror does not have.
_NO_RELEASE = "does not have a Release file"


class NoSuiteError(PackagesError):
    """The mirror has no such suite."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package in a suite."""

    name: str
    version: str
    suite: str
    uri: str
    sha256: str
    needs: tuple[str, ...]
    """Names of the packages that it depends on."""


def fetch(wanted: Sequence[Package], folder: Path) -> list[Path]:
    """Fetch packages into a folder. Each has the SHA-256 of the suite's signed index.

    Raises:
        PackagesError: a package could not be fetched.
    """
    helper = ["/usr/lib/apt/apt-helper", "-o", "APT::Sandbox::User=", "download-file"]
    files = []
    for package in wanted:
        file = folder / package.uri.rpartition("/")[2]
        fetching_tool(
            [*helper, package.uri, str(file), f"SHA256:{package.sha256}"], f"fetching {file.name}"
        )
        files.append(file)
    return files


def packages(suite: str, cache: Path | None = None, *, older_than_s: float = 0.0) -> list[Package]:
    """Return the kernel packages of a suite, the newest version of each name first.

    Args:
        suite: such as `bookworm-security`.
        cache: folder of the cache that keeps the list.
        older_than_s: a list that was read before this time, in s since the epoch, is read again.

    Raises:
        NoSuiteError: the mirror has no such suite.
        PackagesError: apt has no mirror, or no network.
    """
    place = (cache or cache_folder()) / "suites"
    index = place / f"{suite}.json"
    if not index.exists() or index.stat().st_mtime < older_than_s:
        with workshop(place) as work:
            found = [asdict(package) for package in _read_suite(suite, work / "apt")]
            (work / "index").write_text(json.dumps(found))
            (work / "index").replace(index)
    return [Package(**{**each, "needs": tuple(each["needs"])})
            for each in json.loads(index.read_text())]  # fmt: skip


def _read_suite(suite: str, state: Path) -> Iterator[Package]:
    mirror = "{security}" if suite.endswith("-security") else "{mirror}"
    command = apt(state, f"deb {mirror} {suite} main\n")
    doing = f"reading the package lists of {suite}"
    try:
        fetching_tool([*command, "update"], doing)
    except PackagesError as error:
        if _NO_RELEASE in str(error):
            raise NoSuiteError(f"the mirror has no suite {suite}") from error
        raise
    targets = [*command, "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    site = package_tool(targets, doing).split()[0]
    query = ["apt-cache", *command[1:]]
    names = package_tool([*query, "search", "--names-only", _KERNEL_PACKAGE], doing).splitlines()
    if not names:
        return
    shown = package_tool([*query, "show", *(line.split()[0] for line in names)], doing)
    for stanza in shown.strip().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M))
        depends = fields.get("Depends", "")
        yield Package(
            fields["Package"], fields["Version"], suite, f"{site}/{fields['Filename']}",
            fields["SHA256"],
            tuple(part.split()[0] for part in depends.split(",") if part.strip()),
        )  # fmt: skip
