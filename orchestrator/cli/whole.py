"""Whole numbers on the command line, as people write them: 300, 10_000, 10,000 or 1e6."""

import re
from decimal import Decimal, InvalidOperation

import typer

#: A number with a comma between groups of three digits.
_GROUPS = re.compile(r"[+-]?\d{1,3}(,\d{3})+")

#: Digits of the longest number. A seed may be as long.
_MOST_DIGITS = 40


class Whole:
    """Reads an option's value within its limits."""

    def __init__(self, least: int | None = None, most: int | None = None) -> None:
        """Keep the limits, both included; None for no limit."""
        self._least, self._most = least, most
        self.__name__ = "integer"  # Typer may show it in the help

    def __call__(self, text: str) -> int:
        """Return the number.

        Raises:
            BadParameter: it is no whole number, or outside the limits.
        """
        number = whole_number(str(text))
        if number is None:
            raise typer.BadParameter(
                f"{text!r} is not a whole number of at most {_MOST_DIGITS} digits, such as 300, "
                "10_000 or 1e6."
            )
        if self._least is not None and number < self._least:
            raise typer.BadParameter(f"{text} is less than {self._least:,}.")
        if self._most is not None and number > self._most:
            raise typer.BadParameter(f"{text} is more than {self._most:,}.")
        return number


def whole_number(text: str) -> int | None:
    """Return the whole number that a text means; None if it means none."""
    text = text.strip()
    if _GROUPS.fullmatch(text):
        text = text.replace(",", "")
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS:
        return None
    return int(number) if number == number.to_integral_value() else None
