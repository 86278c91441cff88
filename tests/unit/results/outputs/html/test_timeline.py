"""The places of a hang's steps on its timeline."""

from orchestrator.findings.evidence import Evidence, LookTaken, VcpuEvidence
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult
from orchestrator.findings.save import Save, VcpuSave
from orchestrator.guest.state import Stage
from orchestrator.results.evidence import Seen
from orchestrator.results.outputs.html.timeline import timeline

S = 1_000_000_000

VCPU = VcpuSave(
    vcpu=0, phase=0.5, progress=1000, progress_per_period=2000.0, ticks=7, arms=8, lvtt=0x40,
    tmict=20_000_000, irr=(), isr=(), interrupt_flag=True, printing=False, stage=Stage.TICKING,
)  # fmt: skip


def seen(saved_ns: int, *, rescued: bool = True, cured_by: str | None = None) -> Seen:
    looks = [
        LookTaken("query-status", 20 * S, 21 * S),
        LookTaken("NMI 3", 50 * S, 51 * S, rearms=True),
    ]
    part = VcpuEvidence(rescued=rescued, cured_by=cured_by, ticked_ns=52 * S)
    return Seen(
        "cell",
        TrialResult((VcpuResult(Outcome.LOST),), began_ns=10 * S, resumed_ns=12 * S),
        Save("save3", 0.5, (VCPU,), saved_ns=saved_ns),
        Evidence(vcpus=(part,), began_ns=20 * S, ended_ns=60 * S, looks=looks),
    )


def test_each_step_is_at_its_time() -> None:
    steps = timeline(seen(10 * S))
    assert [(step.kind, step.left, step.width) for step in steps] == [
        ("save", 0.0, 0.6),
        ("load", 0.0, 4.0),
        ("silence", 4.0, 16.0),
        ("look", 20.0, 2.0),
        ("look", 80.0, 2.0),
        ("tick", 84.0, 0.6),
        ("end", 99.4, 0.6),
    ]
    assert [step.when for step in steps][:3] == ["-2,000 ms", "-2,000 ms", "+0.0 ms"]
    assert steps[4].said == "the guest arms its timer again: ticks come back"


def test_a_save_from_long_ago_takes_little_room() -> None:
    old = timeline(seen(1))
    assert (old[0].left, old[1].left) == (0.0, 14.0)
    assert old[-1].left == 99.4
    assert all(0 <= step.left <= 100 and step.left + step.width <= 100.1 for step in old)


def test_what_each_look_brought_about() -> None:
    cured = timeline(seen(10 * S, rescued=False, cured_by="query-status"))
    assert cured[3].said == "ticks came back"
    assert cured[4].said == "no tick after it"
    assert cured[5].said == "brought back by query-status"


def test_evidence_without_times_has_no_timeline() -> None:
    old = seen(0)
    old.evidence.began_ns = 0
    assert timeline(old) == ()
