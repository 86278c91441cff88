"""Tells warnings from errors in what a command of the human monitor printed.

QEMU prints both into the monitor on which the command runs. `warn_report` puts `warning: `
before its message and `info_report` puts `info: ` (`vreport` in QEMU's util/error-report.c);
a command's own error begins with `Error: ` since QEMU 4.0 (`hmp_handle_error` in
monitor/hmp-cmds.c), and with nothing before that. Further lines of a message are hints.
"""

_ERROR = "error"
_HARMLESS = ("warning: ", "info: ")


def is_failure(text: str) -> bool:
    """Return whether a command that prints nothing when it succeeds has failed.

    An old QEMU's error after a warning looks like the warning's hint, so a caller must not take
    False for proof of success.
    """
    lines = text.strip().lower().splitlines()
    if not lines:
        return False
    return not lines[0].startswith(_HARMLESS) or any(line.startswith(_ERROR) for line in lines)
