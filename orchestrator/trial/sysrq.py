"""Has a guest's kernel list its timers, by SysRq on its console."""

from orchestrator.qmp.errors import MonitorError
from orchestrator.vm.instance import Instance

#: The file in QEMU's folder to which the kernel's console goes from the first key on.
OUTPUT = "timers.txt"

#: Longest time for an answer, and the time without a further byte that ends one, in ns.
ANSWER_NS, SETTLED_NS = 15_000_000_000, 600_000_000

#: Time between two reads of the answer, in ns.
_POLL_NS = 150_000_000

#: Most bytes of an answer that are kept.
MOST_BYTES = 65536


async def list_timers(instance: Instance) -> str:
    """Return what the kernel printed; empty if it has no console, or did not answer.

    The console's device becomes a pair of files for good: QEMU reads the keys from files.
    """
    program = instance.config.program
    device, said = program.log_chardev, ""
    for file in program.sysrq_files:
        files = {"in": file, "out": OUTPUT, "append": True}
        backend = {"type": "file", "data": files}
        try:
            await instance.monitor.execute("chardev-send-break", {"id": device})
            await instance.monitor.execute("chardev-change", {"id": device, "backend": backend})
            before, said = said, await _answer(instance, len(said))
        except (MonitorError, OSError):
            return ""
        if said == before:
            return ""
    return said


async def _answer(instance: Instance, after: int) -> str:
    """Return all that the kernel printed, once it prints no more.

    Args:
        instance: the instance.
        after: length of what it had printed before.

    Raises:
        OSError: it can't be read.
    """
    clock = instance.clock
    began_ns = grown_ns = clock.now_ns()
    said = b""
    while clock.now_ns() - began_ns < ANSWER_NS:
        await clock.sleep(_POLL_NS)
        last, said = said, await instance.process.read_file(OUTPUT)
        if len(said) > len(last):
            grown_ns = clock.now_ns()
        if len(said) > after and clock.now_ns() - grown_ns >= SETTLED_NS:
            break
    return said[:MOST_BYTES].decode("ascii", "backslashreplace")
