"""Reads TOML files that somebody else wrote."""

import tomllib
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.plan.fault_words import line_of_deepest

#: Largest file, in bytes. 10,000 tables of a plan take less than a tenth of it.
MOST_BYTES = 16 << 20


class TomlError(InputError):
    """A file can't be read, or is not TOML. The message is the reason alone."""


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the data and the text of a TOML file.

    Raises:
        TomlError: the file can't be read, or is not TOML.
    """
    try:
        with path.open("rb") as file:
            read = file.read(MOST_BYTES + 1)
        if len(read) > MOST_BYTES:
            raise TomlError(f"it has more than {MOST_BYTES >> 20} MiB")
        text = read.decode()
    except OSError as error:
        raise TomlError(str(error.strerror)) from error
    except UnicodeDecodeError as error:
        line = read.count(b"\n", 0, error.start) + 1
        raise TomlError(f"line {line}: it is not UTF-8 text") from error
    except ValueError as error:  # a name that no file can have
        raise TomlError(str(error)) from error
    try:
        return tomllib.loads(text), text
    except RecursionError as error:
        fault = f"line {line_of_deepest(text)}: values are nested too deeply"
        raise TomlError(fault) from error
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise TomlError(f"not TOML: {error}") from error
