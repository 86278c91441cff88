"""The plans that come with losttick."""

from pathlib import Path

#: Folder of the shipped plans, one TOML file each.
SHIPPED = Path(__file__).with_name("shipped")


def shipped_plans() -> list[str]:
    """Return the names of the shipped plans."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))
