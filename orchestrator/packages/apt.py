"""Runs apt with this computer's configuration, but with separate state and sources."""

import functools
from pathlib import Path

from orchestrator.errors import InfraError, UnfitError
from orchestrator.process.tool import run_tool


class PackagesError(UnfitError):
    """Packages can't be fetched here: there is no apt, no network, or no such package."""


class PackageFaultError(InfraError):
    """A fetched file is not the expected one."""


#: Runs a tool on packages that have been fetched. A failure is an error, not a skip.
package_tool = functools.partial(run_tool, missing=PackagesError)


#: Runs apt to find or fetch packages. A failure means that the packages can't be fetched here.
fetching_tool = functools.partial(run_tool, failed=PackagesError, missing=PackagesError)


def apt(state: Path, sources: str, default_release: str | None = None) -> list[str]:
    """Return an `apt-get` command with separate state and sources.

    Args:
        state: folder for apt's lists and archives.
        sources: contents of sources.list. `{mirror}` stands for this computer's Debian mirror,
            `{security}` for its mirror of the security updates.
        default_release: the suite to prefer.

    Raises:
        PackagesError: this computer's apt has no such mirror.
    """
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    for place, security in (("{mirror}", False), ("{security}", True)):
        if place in sources:
            sources = sources.replace(place, _mirror(security=security))
    (state / "sources.list").write_text(sources)
    options = [
        f"Dir::State={state}/state",
        f"Dir::State::status={state}/status",
        f"Dir::Cache={state}/cache",
        f"Dir::Etc::sourcelist={state}/sources.list",
        "Dir::Etc::sourceparts=-",
        "APT::Sandbox::User=",  # run as the calling user, because the folder may be private
        "APT::Update::Error-Mode=any",  # otherwise a missing list is only a warning
        "Acquire::Languages=none",
        "Acquire::Check-Valid-Until=false",  # an archived suite is never signed again
        *([f"APT::Default-Release={default_release}"] if default_release else []),
    ]
    return ["apt-get", "-q", *(part for option in options for part in ("-o", option))]


def suite_sources(suite: str) -> str:
    """Return the sources.list of a suite, or of several joined by commas.

    A suite of backports or security updates contains only packages that differ from its base
    suite, so the base suite is added.
    """
    lines: dict[str, None] = {}
    for each in suite.split(","):
        plain, _, kind = each.partition("-")
        lines[f"deb {{mirror}} {plain} main\n"] = None
        mirror = "{security}" if kind == "security" else "{mirror}"
        lines[f"deb {mirror} {each} main\n"] = None
    return "".join(lines)


def _mirror(*, security: bool) -> str:
    """Return the mirror from which this computer's apt gets Debian or its security updates."""
    listed = fetching_tool(
        ["apt-get", "indextargets", "--format", "$(SITE) $(SUITE) $(ORIGIN)"],
        "asking apt for its mirror",
    )
    for line in listed.splitlines():
        site, suite, *origin = line.split(maxsplit=2)
        is_security = "security" in suite or "security" in site
        if is_security == security and origin in ([], ["Debian"]):
            return site
    if security:
        raise PackagesError(
            "asking apt for its mirror: it knows none of Debian's security updates. Add that to "
            "its sources and run apt-get update as root, once; or name the suite without -security."
        )
    raise PackagesError(
        "asking apt for its mirror: it knows none of Debian. Run apt-get update as root, once."
    )
