"""The known bugs: how each one shows, which hosts and timers it strikes, and what helps.

Sources: the kernel's commits that are named in `fixed_by`, the review in which the APICv bug
was found (Sean Christopherson, 12 September 2023), and the issues of the other programs
that are named.
"""

from orchestrator.bugs.known_bug import Commit, KnownBug, Needs, Signature
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.timer_mode import TimerMode

_LOST = frozenset({Outcome.LOST})

_LAPIC = frozenset({TimerMode.ONE_SHOT, TimerMode.PERIODIC, TimerMode.TSC_DEADLINE})

#: The commits of the APICv bug. Each has a part in it, and none of them made it alone.
_APICV_COMMITS = (
    Commit(
        "967235d32032",
        "KVM: vmx: clear pending interrupts on KVM_SET_LAPIC",
        "introduced it: KVM_SET_LAPIC clears the posted-interrupt requests (PIR) at its end",
    ),
    Commit(
        "8e6ed96cdd50",
        "KVM: x86: fire timer when it is migrated and expired, and in oneshot mode",
        "exposed it: a one-shot timer that is restored with TMCCT 0 fires inside KVM_SET_LAPIC",
    ),
    Commit(
        "9cfec6d097c6",
        "KVM: x86: Fix lapic timer interrupt lost after loading a snapshot.",
        "fixed it: the PIR is cleared at the beginning of KVM_SET_LAPIC",
    ),
    Commit(
        "e800decd9c0a",
        "KVM: x86: Only reset TSC Deadline Timer in apic_timer_expired on KVM_RUN",
        "closes the same path independently (7.2, 6.12.101, 6.1.184): a timer that expires outside "
        "KVM_RUN is left pending instead of posted",
    ),
)

#: KVM drops the interrupt of a one-shot timer that expires inside KVM_SET_LAPIC: commit
#: 8e6ed96cdd50 lets the restored timer fire there, which with APICv sets a bit in the
#: posted-interrupt request; commit 967235d32032 clears that request later in the same ioctl.
APICV_BUG = KnownBug(
    name="APICv bug",
    signature=Signature(
        outcomes=_LOST,
        causes=frozenset({Cause.LOST_INTERRUPT}),
        timers=frozenset({TimerMode.ONE_SHOT}),
        first_tick_only=True,
        no_surplus=True,
    ),
    effect="loses only the first tick of a one-shot timer after a load",
    needs=Needs("kvm_intel", "enable_apicv", "no posted interrupts"),
    affected_kernels="6.3.x, 6.4.x, 6.5.0 to 6.5.12, 6.6.0 to 6.6.2",
    fixed_by="9cfec6d097c6 (6.5.13, 6.6.3, 6.7 and later)",
    advice=(
        "Boot a kernel with commit 9cfec6d097c6 (6.5.13, 6.6.3, 6.7 and later have it; "
        "distributions backport it), or load kvm_intel with enable_apicv=0."
    ),
    plain="a virtual machine freezes for good when a snapshot is loaded",
    commits=_APICV_COMMITS,
    proves=True,
    spared={
        TimerMode.TSC_DEADLINE: (
            "QEMU restores the deadline after the LAPIC: in TSC-deadline mode the bug should "
            "not show"
        ),
        TimerMode.PERIODIC: (
            "the bug freezes one-shot timers: a periodic timer goes on, and loses a tick at most"
        ),
        TimerMode.PIT: "the PIT interrupts through the PIC, and the bug is in the LAPIC",
        TimerMode.RTC: "the RTC interrupts through the PIC, and the bug is in the LAPIC",
    },
    spared_states={
        SavedState.PENDING: "the tick is in the IRR of the save already, which survives the load",
        SavedState.MASKED: "no timer can fire inside the load while LVTT is masked",
    },
)

#: The same clearing of posted interrupts, met by a timer whose deadline passes between two
#: reads of the TSC. It needs a restored TMCCT other than 0, which QEMU never writes.
NARROW_RACE = KnownBug(
    name="narrow race",
    signature=APICV_BUG.signature,
    effect=(
        "loses a timer that is restored with a few nanoseconds left. QEMU always restores "
        "TMCCT 0 and does not meet it, but another program can"
    ),
    needs=APICV_BUG.needs,
    affected_kernels="5.8 to 6.2, 5.10.y, 5.15.y, 6.1.y before 6.1.66",
    fixed_by=APICV_BUG.fixed_by + ", 6.1.66 and later 6.1.y",
    advice=APICV_BUG.advice,
    plain=(
        "in rare moments a virtual machine can freeze when its state is restored, but not by QEMU "
        "or the Android Emulator"
    ),
    commits=_APICV_COMMITS,
    direct_only=True,
)

TICK_STORM = KnownBug(
    name="tick storm after a long stop (CVE-2025-71104)",
    signature=Signature(
        outcomes=frozenset({Outcome.EXTRA}),
        timers=frozenset({TimerMode.PERIODIC}),
        own_vector_only=True,
    ),
    effect=(
        "makes KVM catch up with all ticks of a periodic timer that fell into a long stop, in "
        "extreme cases until the host locks up"
    ),
    needs=Needs("kvm_intel", "preemption_timer", "no VMX preemption timer"),
    affected_kernels="4.17 to 6.18",
    fixed_by="18ab3fc8e880 (6.19; stable kernels of January 2026)",
    advice=(
        "Boot a kernel with commit 18ab3fc8e880 (6.19 and later, and stable kernels of January "
        "2026), or load kvm_intel with preemption_timer=0."
    ),
    plain=(
        "after a long stop the clock of a virtual machine catches up in a burst, which can make "
        "the whole computer hang"
    ),
)

STALE_PREEMPTION_TIMER = KnownBug(
    name="stale preemption timer",
    signature=Signature(
        outcomes=frozenset({Outcome.EARLY, Outcome.EXTRA}),
        timers=frozenset({TimerMode.ONE_SHOT, TimerMode.PERIODIC}),
        own_vector_only=True,
    ),
    effect=(
        "leaves the VMX preemption timer of before the load armed beside the restored timer, which "
        "may give a tick too many or too early"
    ),
    needs=Needs("kvm_intel", "preemption_timer", "no VMX preemption timer"),
    affected_kernels="4.10 to 5.16",
    fixed_by="35fe7cfbab2e (5.17; stable kernels of February 2022)",
    advice=(
        "Boot a kernel with commit 35fe7cfbab2e (5.17 and later, and stable kernels of February "
        "2022), or load kvm_intel with preemption_timer=0."
    ),
    plain=(
        "after a snapshot is loaded, the clock of a virtual machine ticks once too often or too "
        "early"
    ),
)

STALE_SVI = KnownBug(
    name="stale SVI after APICv was switched on",
    signature=Signature(outcomes=_LOST, causes=frozenset({Cause.IN_SERVICE}), timers=_LAPIC),
    effect=(
        "leaves an interrupt in service for ever (its bit in ISR stays set) when KVM switches "
        "APICv on for a guest that runs already, so that no tick is delivered any more"
    ),
    needs=Needs("kvm_intel", "enable_apicv", "no virtual-interrupt delivery"),
    affected_kernels="all kernels with APICv before the fix",
    fixed_by="b2849bec936b (6.19; stable kernels of June 2026)",
    advice=(
        "Boot a kernel with commit b2849bec936b (6.19 and later, and stable kernels of June "
        "2026), or load kvm_intel with enable_apicv=0."
    ),
    plain="a virtual machine stops when Linux switches a feature of the CPU on while it runs",
)

STALE_TPR = KnownBug(
    name="stale TPR with AVIC",
    signature=Signature(outcomes=_LOST, causes=frozenset({Cause.PENDING}), timers=_LAPIC),
    effect=(
        "lets KVM_SET_LAPIC leave the CPU with the task priority from before the load, so that "
        "ticks stay pending although the guest's TPR allows them"
    ),
    needs=Needs("kvm_amd", "avic", "no AVIC", split_irqchip=True),
    affected_kernels="kernels with AVIC before the fix, on AMD hosts",
    fixed_by="d02e48830e3f (6.17; stable kernels of autumn 2025)",
    advice=(
        "Boot a kernel with commit d02e48830e3f (6.17 and later, and stable kernels of autumn "
        "2025), or load kvm_amd with avic=0."
    ),
    plain="a virtual machine on an AMD computer freezes when a snapshot is loaded",
)

DEADLINE_ORDER = KnownBug(
    name="TSC deadline restored too early",
    signature=Signature(
        outcomes=_LOST,
        causes=frozenset({Cause.DEADLINE_GONE, Cause.NOT_RESTORED}),
        timers=frozenset({TimerMode.TSC_DEADLINE}),
    ),
    effect=(
        "drops the guest's deadline, because KVM ignores a write of the deadline MSR before the "
        "LAPIC is in TSC-deadline mode and converts it by the TSC of that moment"
    ),
    needs=Needs(),
    affected_kernels="not a kernel: seen in Firecracker (issue 4099) and Kata Containers (13798)",
    fixed_by="the program that loads: TSC first, then the LAPIC, then the deadline",
    advice=(
        "Ask the authors of the program that loads to write the TSC, the LAPIC and then the "
        "deadline MSR."
    ),
    plain=(
        "the program that loads the snapshot restores its parts in the wrong order, and the "
        "virtual machine freezes"
    ),
)

SECOND_LOAD = KnownBug(
    name="state that is lost at the second save",
    signature=Signature(
        outcomes=_LOST,
        causes=frozenset({Cause.NOT_RESTORED}),
        timers=_LAPIC,
        loaded_before_only=True,
    ),
    effect=(
        "saves a timer that the first load restored incompletely, so that only a guest that was "
        "loaded before loses it"
    ),
    needs=Needs(),
    affected_kernels="not a kernel: seen in Firecracker (issue 1942)",
    fixed_by="the program that saves",
    advice="Compare --cycle fresh with --cycle chain: only the second saves loaded guests.",
    plain=(
        "a snapshot of a virtual machine that was itself loaded from a snapshot is incomplete, and "
        "the virtual machine freezes"
    ),
)

RTC_BEFORE_LAPIC = KnownBug(
    name="RTC interrupt raised before the LAPIC is loaded",
    signature=Signature(
        outcomes=frozenset({Outcome.LOST, Outcome.MISSED}), timers=frozenset({"rtc"})
    ),
    effect=(
        "raises the RTC's interrupt while the guest's LAPIC still has the state from before the "
        "load, so that it is overwritten"
    ),
    needs=Needs(),
    affected_kernels="not a kernel: old QEMUs, which set KVM's LAPIC only as the vCPU starts",
    fixed_by=(
        "QEMU commit 78d6a05d2f69, which sets KVM's LAPIC as its state is loaded; QEMU 10.2 also "
        "loads it before PCI devices"
    ),
    advice="Run with a newer QEMU and compare.",
    plain=(
        "an old QEMU restores the parts of a virtual machine in the wrong order, and an old "
        "system in it freezes"
    ),
)

CLOCK_JUMP = KnownBug(
    name="guest clock that jumps at a load",
    signature=Signature(outcomes=frozenset({Outcome.CLOCK})),
    effect=(
        "gives the guest a TSC or a kvmclock that is neither continuous with the host's clock nor "
        "restored to the save; with several vCPUs, only some of them may jump"
    ),
    needs=Needs(),
    affected_kernels=(
        "any: KVM takes a TSC within a second of the expected one for a synchronization, and the "
        "program that loads decides what it writes (Firecracker 6200, Cloud Hypervisor 7930)"
    ),
    fixed_by="nothing known",
    advice=(
        "As root, trace kvm_write_tsc_offset during a load: it shows which offset each vCPU got."
    ),
    plain="the clock of a virtual machine jumps when a snapshot is loaded",
)

#: In the order in which a verdict names them.
CATALOGUE = (
    APICV_BUG, NARROW_RACE, TICK_STORM, STALE_PREEMPTION_TIMER, STALE_SVI, STALE_TPR,
    DEADLINE_ORDER, SECOND_LOAD, RTC_BEFORE_LAPIC, CLOCK_JUMP,
)  # fmt: skip
