"""The pattern of losses over restored current counts, by which a direct test names a fault.

The known bug drops a timer that expires inside `KVM_SET_LAPIC`. It loses nearly all timers that
are restored with 0 or 1 ns left, and none that has 1 ms left.
"""

import enum
import math
from collections.abc import Sequence

from orchestrator.findings.series import Series
from orchestrator.findings.witness import Says, Statement, Witness

#: Current counts, in ns, with which the pattern can be read: what QEMU restores, what expires
#: inside the call, and what is left long after the call.
TELLING_NS = (0, 1, 1_000_000)

#: A timer with at most this much left expires inside the call on any CPU.
_AT_ONCE_NS = 10

#: A timer with at least this much left expires long after the call, also on an emulated CPU.
_LATER_NS = 1_000_000

#: Share of timers that counts as nearly all.
_NEARLY_ALL = 0.9

#: Share of timers with 1 ms left that a host with the bug may lose: a busy host can keep a thread
#: waiting for so long in the middle of the call. Such a host loses nearly all timers with 0 left.
_STALLED = 0.1


class Pattern(enum.StrEnum):
    """A pattern of losses."""

    NONE = "no loss"
    KNOWN_BUG = "lost if they expire inside the call"
    NARROW = "lost if little is left, but not at 0"
    """The narrow race of old kernels. QEMU, which restores 0, does not meet it."""
    ZERO_ALONE = "lost at 0 alone"
    """A timer that the kernel never starts: one that is to expire inside the call is lost at 1
    ns as well."""
    LATER_TOO = "lost even if much is left"
    MIXED = "some of them lost"
    """Lost at 0 and at 1 ns, but not nearly all. It neither shows nor refutes the known bug."""
    UNREAD = "not read"
    """Too few current counts were restored."""


#: Patterns that the known bug can't make.
REFUTED = {
    Pattern.ZERO_ALONE: "they are lost at TMCCT 0 alone, as if the kernel never started them, and "
    "the {bug} loses timers with 1 ns left as well",
    Pattern.LATER_TOO: "timers with 1 ms left are lost as well, and those expire long after the "
    "call in which the {bug} loses them",
}


def read_pattern(tested: Sequence[Series]) -> Pattern:
    """Return the pattern of a direct test on one host."""
    zero = [each for each in tested if each.tmcct_ns == 0]
    soon = [each for each in tested if 0 < each.tmcct_ns <= _AT_ONCE_NS]
    later = [each for each in tested if each.tmcct_ns >= _LATER_NS]
    lost_later = sum(each.lost for each in later)
    few = lost_later <= _STALLED * sum(each.trials for each in later)
    if lost_later and not (few and zero and _nearly_all_lost(zero)):
        return Pattern.LATER_TOO
    if not any(each.lost for each in tested):
        return Pattern.NONE
    if not any(each.lost for each in zero):
        return Pattern.NARROW if zero else Pattern.UNREAD
    if soon and not any(each.lost for each in tested if each.tmcct_ns):
        return Pattern.ZERO_ALONE
    if not soon or not later:
        return Pattern.UNREAD
    return Pattern.KNOWN_BUG if _nearly_all_lost([*zero, *soon]) else Pattern.MIXED


def _nearly_all_lost(tested: Sequence[Series]) -> bool:
    return all(each.lost >= _NEARLY_ALL * each.trials for each in tested)


def mixed_words(tested: Sequence[Series], bug: str) -> str:
    """Return what losses of some timers with 0 or 1 ns left show about a known bug."""
    trials = min(each.trials for each in tested if each.tmcct_ns <= _AT_ONCE_NS)
    return (
        f"this neither shows nor refutes the {bug}, which loses nearly all of these: at least "
        f"{math.ceil(_NEARLY_ALL * trials)} of {trials}"
    )


def few_later(tested: Sequence[Series]) -> str:
    """Return how few timers were lost that expire long after the call: `none` or `hardly any`."""
    lost = any(each.lost for each in tested if each.tmcct_ns >= _LATER_NS)
    return "hardly any" if lost else "none"


def shown(tested: Sequence[Series]) -> str:
    """Return the losses in words, such as `100 of 100 at TMCCT 0 ns`."""
    lossy = [each for each in tested if each.lost]
    return ", ".join(f"{s.lost} of {s.trials} at TMCCT {s.tmcct_ns} ns" for s in lossy)


def direct_statement(tested: Sequence[Series], control: Series, bug: str) -> Statement:
    """Return what a direct test says of losses that were diagnosed as a known bug.

    Args:
        tested: its series.
        control: its control, each timer of which must be lost.
        bug: the bug's name.
    """
    pattern = read_pattern(tested)
    test = "the direct test (KVM_SET_LAPIC without QEMU)"
    if control.lost < control.trials:
        why = f"{test} missed {control.trials - control.lost} timers that never fire"
        return Statement(Witness.DIRECT, Says.UNDECIDED, why)
    if pattern is Pattern.KNOWN_BUG:
        why = f"{test} loses {shown(tested)}, and {few_later(tested)} with 1 ms left"
        return Statement(Witness.DIRECT, Says.AGREES, why)
    if pattern in REFUTED:
        why = f"{test} loses {shown(tested)}: {REFUTED[pattern].format(bug=bug)}"
        return Statement(Witness.DIRECT, Says.CONTRADICTS, why)
    if pattern is Pattern.MIXED:
        why = f"{test} loses {shown(tested)}: {mixed_words(tested, bug)}"
        return Statement(Witness.DIRECT, Says.UNDECIDED, why)
    at_zero = sum(each.trials for each in tested if each.tmcct_ns == 0)
    if pattern in (Pattern.NONE, Pattern.NARROW) and at_zero:
        why = f"{test} loses none of {at_zero} timers at TMCCT 0, where the {bug} loses nearly all"
        return Statement(Witness.DIRECT, Says.CONTRADICTS, why)
    return Statement(Witness.DIRECT, Says.UNDECIDED, f"{test} loses {shown(tested) or 'none'}")
