"""The command line: one file a command.

Nothing is imported before `main` has decided what signals do: an import that is cut short by
Ctrl-C would show a traceback.
"""

from importlib import import_module


def main() -> None:
    """Run the command line, and end the process."""
    interrupts = import_module("orchestrator.cli.interrupts")
    interrupts.exit_at_once()
    interrupts.unblock()
    import_module("orchestrator.cli.root").run_root()
