"""The outputs of a command that has its result: no error of theirs may hide it."""

from collections.abc import Callable

from orchestrator.cli.text import say_error
from orchestrator.errors import InfraError, LosttickError, own_fault
from orchestrator.results.outputs.output import OutputError


def wrote(doing: str, write: Callable[[], object]) -> bool:
    """Write an output; return whether it was written. If it was not, a person is told why.

    The command then ends with `despite_output` of its code, after everything else was written.

    Args:
        doing: what is being written, in words.
        write: writes it.
    """
    try:
        write()
    except (OutputError, InfraError) as error:
        say_error(str(error))
    except LosttickError:
        raise
    except Exception as error:
        say_error(f"{own_fault(doing, error)} The result and its exit code stand.")
    else:
        return True
    return False
