"""SysRq on the console of a Linux kernel, and the list of timers that the key `q` prints.

The kernel takes the key after a break, prints from the interrupt's handler, and runs no process
for it. So a kernel answers whose idle vCPU has lost its timer, and stays without ticks: the list
is read only, and a kernel that goes back to idle arms its timer only if the next event has changed.
"""

import re
from collections.abc import Mapping

#: Files with the keys, in the order in which they are pressed: `7` has the kernel print all that
#: it says, and `q` lists the timers. QEMU reads a key from a file.
KEYS: Mapping[str, bytes] = {"sysrq-7": b"7", "sysrq-q": b"q"}

#: The list begins with the time, and has an entry for each vCPU's timer: `print_tickdevice` in
#: the kernel's file timer_list.c.
_NOW = re.compile(r"now at (\d{1,19}) nsecs")
_PER_CPU = re.compile(r"Per CPU device: (\d{1,4})\b")
_NEXT_EVENT = re.compile(r"next_event: +(\d{1,19}) nsecs")


def overdue_ns(timers: str, vcpu: int) -> int | None:
    """Return how long ago the timer of a vCPU was due by its kernel's own account.

    Args:
        timers: what the kernel printed.
        vcpu: whose timer.

    Returns:
        The time in ns, negative if the timer is yet to come; None if the list does not say it.
    """
    now = _NOW.search(timers)
    for found in _PER_CPU.finditer(timers):
        if int(found[1]) == vcpu and now:
            entry = timers[found.end() :].split("Tick Device:")[0]
            if event := _NEXT_EVENT.search(entry):
                return int(now[1]) - int(event[1])
    return None
