"""Words that a person who does not know the hardware cannot be expected to understand."""

import re

#: Words that no text for the user of a computer has, in any spelling of capitals. A name in a
#: command, such as `enable_apicv`, is another word.
JARGON = (
    "APIC", "APICv", "AVIC", "EOI", "EPT", "HMP", "IF", "IRQ", "IRR", "ISR", "LAPIC", "LVTT", "MSR",
    "NMI", "PIC", "PIR", "PIT", "PPR", "QMP", "RTC", "SVI", "SVM", "TCG", "TMCCT", "TMICT", "TPR",
    "TSC", "VMX", "VT-x", "fw_cfg", "hv-stimer", "ioctl", "irqchip", "loadvm", "one-shot",
    "oneshot", "periodic", "posted", "savevm", "stimer", "testimony", "tracefs", "tracepoint",
    "tracepoints", "TSC-deadline", "vCPU", "vCPUs", "vector", "x2APIC", "xAPIC", "KVM_SET_LAPIC",
    "eligible", "inconclusive", "anomalous", "not-exposed", "exposure", "kvmclock",
)  # fmt: skip

#: `if` is an English word: the flag is meant only where it stands in capitals.
_ENGLISH = {"IF", "PIT", "PIC"}

_WORDS = [
    re.compile(
        rf"(?<![\w-]){re.escape(word)}(?![\w-])", 0 if word in _ENGLISH else re.IGNORECASE
    )
    for word in JARGON
]  # fmt: skip


def jargon(text: str) -> list[str]:
    """Return the words in a text that its user cannot be expected to understand."""
    return [word for word, found in zip(JARGON, _WORDS, strict=True) if found.search(text)]
