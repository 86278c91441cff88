"""Files of `images/` in the installed package."""

import tomllib
from pathlib import Path

from orchestrator.cache.program import shipped

ROOT = Path(__file__).parents[3]


def test_the_wheel_has_the_images_where_they_are_looked_for() -> None:
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = tables["targets"]["wheel"]["force-include"]
    for source, place in included.items():
        _, folder, name = Path(source).parts
        if folder != "tick":  # the firmware lies beside the module that reads it
            assert place == f"orchestrator/{source}"
            assert shipped(name, folder) == ROOT / source
