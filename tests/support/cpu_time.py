"""What a benchmark used of the CPUs, which a busy computer changes less than the time it took."""

import resource


def cpu_s() -> float:
    """Return what the programs that this one waited for have used of the CPUs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
