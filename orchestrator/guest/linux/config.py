"""How a Linux kernel is told to tick."""

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import Switches, record
from orchestrator.guest.timer_mode import TimerMode
from orchestrator.guest.wait import Wait

#: `LOCAL_TIMER_VECTOR` of the kernels since 4.3.
TICK_VECTOR = 0xEC

#: Times between two ticks of a kernel are 1, 3.33, 4 or 10 ms (`CONFIG_HZ`). Multiples of this
#: time are multiples of all of them.
WHOLE_NS = 20_000_000

#: Longest time between two ticks of a kernel: `CONFIG_HZ=100`.
KERNEL_TICK_NS = 10_000_000

#: Less memory than this does not hold the kernel while it unpacks itself.
MEMORY_MIB = 80

#: The timers by which Linux can tick.
TIMERS = tuple(
    mode.value for mode in (TimerMode.ONE_SHOT, TimerMode.PERIODIC, TimerMode.TSC_DEADLINE)
)

#: The kernel's own part of the command line.
#:
#: `iomem=relaxed nox2apic`: the first process maps the LAPIC and its state block by /dev/mem.
#: `apic_extnmi=all`: an NMI reaches every vCPU. `lpj`, `cryptomgr.notests`, `no_timer_check` and
#: one UART make the start shorter, and change no timer.
ALWAYS = (
    "console=ttyS0 nokaslr mitigations=off no_timer_check random.trust_cpu=on "
    "audit=0 cryptomgr.notests panic=1 nox2apic iomem=relaxed lpj=300000 8250.nr_uarts=1 "
    "apic_extnmi=all nmi_watchdog=0 sysrq_always_enabled"
)


def command_line(config: GuestConfig, switches: Switches) -> str:
    """Return the kernel's command line.

    Raises:
        ValueError: Linux does not tick by this timer.
    """
    # On an emulated CPU each byte for the log takes long. A panic is logged in any case.
    options = [ALWAYS, "loglevel=0" if config.debug_port else "loglevel=4"]
    if config.mode not in TIMERS:
        raise ValueError(f"Linux does not tick by {config.mode}")
    if config.mode != TimerMode.TSC_DEADLINE:
        options.append("lapic=notscdeadline")
    if config.mode == TimerMode.PERIODIC:
        options.append("highres=off")
    # An idle vCPU halts without a tick of its own; a busy one keeps the tick.
    idle = config.wait is Wait.HALT and not config.control_tick
    options.append("nohz=on" if idle else "nohz=off")
    return " ".join([*options, f"losttick={record(config, switches)}"])
