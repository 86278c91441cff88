"""The names of runs that are reported together."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from orchestrator.results.report import Report


def run_names(reports: Sequence[Report]) -> Sequence[str]:
    """Return a name for each run: the end of its folder's path, as much as no other run has.

    A folder that is reported twice, in two spellings, gets a number the second time.
    """
    # Without `..`, and links are not followed.
    folders = [Path(os.path.abspath(report.folder)) for report in reports]  # noqa: PTH100 - resolve() follows links
    names = _names(list(dict.fromkeys(folders)))
    before = [folders[:place].count(folder) for place, folder in enumerate(folders)]
    return [
        f"{names[folder]} ({number + 1})" if number else names[folder]
        for folder, number in zip(folders, before, strict=True)
    ]


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    names = [folder.parts[-1] for folder in folders]
    for length in range(2, max((len(folder.parts) for folder in folders), default=0) + 1):
        often = Counter(names)
        if max(often.values()) == 1:
            break
        names = [
            "/".join(folder.parts[-length:]).replace("//", "/") if often[name] > 1 else name
            for folder, name in zip(folders, names, strict=True)
        ]
    return dict(zip(folders, names, strict=True))
