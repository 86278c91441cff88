"""Names the command that started losttick, for messages that say what to run."""

import shlex
import sys
from pathlib import Path


def own_command() -> str:
    """Return a command that starts losttick for every user: sudo looks only in its own PATH."""
    started = Path(sys.argv[0])
    if started.name == "losttick" and started.exists():
        return shlex.quote(str(started.absolute()))
    if started.parts[-2:] == ("orchestrator", "__main__.py"):
        return f"{shlex.quote(sys.executable)} -m orchestrator"
    return "losttick"
