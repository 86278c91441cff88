"""Questions to a person.

The prompts of Click are not used: they turn a signal into the answer no.
"""

import select
import sys

#: Longest time after which a signal is seen, in seconds.
LOOK_S = 0.5

#: Why nobody can be asked where the descriptor of standard input is closed.
NO_INPUT = "because there is no standard input"


def prompt(question: str) -> None:
    """Print a question on standard error; the answer is typed behind it."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)


def typed() -> str:
    """Return the line that is typed; empty at the end of the input, or if there is none.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    if not sys.stdin:
        return ""
    stdin = sys.stdin.buffer
    # Python does not see a signal that comes just before it begins to read, and would read on. So
    # it waits for short times, and looks for signals after each of them.
    while not select.select([stdin], [], [], LOOK_S)[0]:
        pass
    return stdin.readline().decode(errors="replace")


def is_yes(line: str) -> bool:
    """Return whether an answer is yes."""
    return line.strip().lower() in ("y", "yes")
