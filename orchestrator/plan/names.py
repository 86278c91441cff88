"""The plans that come with losttick."""

import re
from pathlib import Path

#: Folder of the shipped plans, one TOML file each.
SHIPPED = Path(__file__).with_name("shipped")


def shipped_plans() -> list[str]:
    """Return the names of the shipped plans."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def plan_description(name: str) -> str:
    """Return what a shipped plan is for: the first sentence of the comment at its top."""
    lines = (SHIPPED / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    comment = " ".join(line.lstrip("# ") for line in lines[: lines.index("")])
    return re.split(r"(?<=\.) ", comment, maxsplit=1)[0]
