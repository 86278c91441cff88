"""The runs of a tester: the kernels or QEMUs that it has met, and the folders of the results."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Runs:
    """The candidates that a tester has met, and its folders."""

    out: Path
    """Folder that gets a folder for each run. It may be there already."""
    _tested: dict[str, str] = field(default_factory=dict)
    """Names of the candidates that were tested, by the digests of what ran."""
    _met: set[str] = field(default_factory=set)

    def tested(self, name: str, signature: str) -> None:
        """Note a test of a candidate.

        Args:
            name: of the candidate.
            signature: of `Tested`.
        """
        self._met.add(name)
        if signature:
            self._tested.setdefault(signature, name)

    def meets_again(self, name: str, signature: str) -> bool:
        """Return whether a candidate, met for the first time, was tested by another's name."""
        first = name not in self._met
        self._met.add(name)
        return first and self._tested.get(signature, name) != name

    def folder(self, title: str) -> Path:
        """Make the folder of a run, with a name that has the title's last characters."""
        title = re.sub(r"[^A-Za-z0-9._@+-]", "_", title)[-80:].lstrip("_")
        number = 1
        while (folder := self.out / f"{title}-{number}").exists():
            number += 1
        folder.mkdir(parents=True)
        return folder
