"""Ends `losttick attach --loads`, by all signals and at all moments by turns.

`LOSTTICK_TEST_KILLS` is the number of times that losttick is ended, each time at another moment.
"""

import os
import signal
import subprocess
import time

from tests.support.command import losttick_command

KILLS = int(os.environ.get("LOSTTICK_TEST_KILLS", "3"))

#: Ways to end losttick, by turns.
ENDS = (signal.SIGKILL, signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL,
        signal.SIGHUP)  # fmt: skip

#: Lines that losttick prints, and how long after each of them it is ended at the latest, in
#: seconds: from before the first stop to after the third load.
MOMENTS = (("looking", 4.0), ("save 1", 4.0), ("load 1 ", 0.5), ("load 2 ", 3.0))


def heed() -> None:
    """Heed signals as at a terminal: what is ignored in the background stays ignored."""
    for number in set(ENDS) - {signal.SIGKILL}:
        signal.signal(number, signal.SIG_DFL)


def end_trials(number: int, *target: str) -> set[str]:
    """Start trials and end them; return what losttick and its guardian said after that.

    Args:
        number: which of the `KILLS` times this is, from 0.
        target: options that name the virtual machine.
    """
    word, longest_s = MOMENTS[number % len(MOMENTS)]
    with subprocess.Popen(
        losttick_command("attach", *target, "--loads", "1000", "--yes"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=heed,
    ) as process:  # fmt: skip
        assert process.stderr
        for line in process.stderr:
            if line.startswith(word):
                break
        turn = number // len(MOMENTS)
        time.sleep(longest_s * (turn + 0.5) / -(-KILLS // len(MOMENTS)))
        process.send_signal(ENDS[number % len(ENDS)])
        return set(process.stderr.read().splitlines())  # its guardian holds it open, too
