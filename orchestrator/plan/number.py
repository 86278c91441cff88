"""Numbers in the ids of cells: short, and never the same for two numbers."""

from decimal import Decimal


def number(value: float, digits: int) -> str:
    """Return a number in as many digits as it takes to read the same number back.

    Args:
        value: the number; finite.
        digits: digits that suffice for most numbers. Ids have used so many since the first
            release, so a number that has no more keeps its text.
    """
    text = f"{value:.{digits}g}"
    return text if float(text) == value else repr(value)


def positional(value: float, digits: int) -> str:
    """Return a number as `number` does, without an exponent."""
    return f"{Decimal(number(value, digits)):f}"
