"""Source archives of Debian's source packages, by this machine's own apt."""

import hashlib
import re
from pathlib import Path

from orchestrator.lab.packages import PackagesError, apt, run_tool


def source_archive(suite: str, package: str, folder: Path) -> Path:
    """Fetch the upstream source archive of a package into a folder; return it, checked.

    The .dsc may be missing on a mirror where the archive is there: only the archive's
    own SHA-256, from the signed source index, counts.

    Raises:
        PackagesError: it can't be had.
    """
    command = apt(folder / "apt", f"deb-src {{mirror}} {suite} main\n")
    run_tool([*command, "update"], f"reading the source index of {suite}")
    listed = run_tool(
        [*command, "source", "--print-uris", "--only-source", package],
        f"looking for the source of {package} in {suite}",
    )
    found = re.search(r"^'[^']+' (\S+\.orig\.tar\.\w+) \d+ SHA256:([0-9a-f]{64})$", listed, re.M)
    if found is None:
        raise PackagesError(f"looking for the source of {package} in {suite}: no archive is listed")
    archive = folder / found[1]
    # It fails where the .dsc is missing; what matters is checked below.
    run_tool(
        [*command, "source", "--download-only", "--only-source", package],
        f"fetching the source of {package}", cwd=folder, must=False,
    )  # fmt: skip
    if not archive.exists():
        raise PackagesError(
            f"fetching the source of {package}: {found[1]} did not come. "
            f"By hand: put it into {folder}"
        )
    if hashlib.sha256(archive.read_bytes()).hexdigest() != found[2]:
        archive.unlink()
        raise PackagesError(f"fetching the source of {package}: {found[1]} has the wrong SHA-256")
    return archive
