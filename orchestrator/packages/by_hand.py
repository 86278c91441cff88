"""Packages that a person has put into the cache by hand, as a source for apt.

A .deb does not say which suite it is from: the folder that it lies in does,
`debs/SUITE` in the cache. Nobody signed these files; their SHA-256 is recorded with
whatever is made of them.
"""

import hashlib
import urllib.parse
from pathlib import Path

from orchestrator.packages.apt import package_tool


def drop_folder(cache: Path, suite: str) -> Path:
    """Return where a person may put the .deb files and source archives of a suite."""
    return cache / "debs" / suite


def drop_source(drop: Path, place: Path) -> str | None:
    """Return the sources.list line of the .deb files in a folder, None if there are none.

    Args:
        drop: the folder.
        place: where to make apt's index of them; it must be new.

    Raises:
        PackagesError: one of them is no Debian package.
    """
    archives = sorted(drop.glob("*.deb"))
    if not archives:
        return None
    place.mkdir(parents=True)
    index = []
    for archive in archives:
        control = package_tool(["dpkg-deb", "-f", str(archive)], f"reading {archive}")
        with archive.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        (place / archive.name).symlink_to(archive.resolve())
        index.append(
            f"{control.strip()}\nFilename: ./{archive.name}\n"
            f"Size: {archive.stat().st_size}\nSHA256: {digest}\n"
        )
    (place / "Packages").write_text("\n".join(index))
    # copy, not file: then apt leaves all that it takes in one folder.
    return f"deb [trusted=yes] copy:{urllib.parse.quote(str(place))} ./\n"
