"""The explanation for a developer shows a hang as its evidence folder has it."""

from dataclasses import replace
from pathlib import Path

from orchestrator.results.explain import Reader, explain
from orchestrator.results.report import read_report
from orchestrator.testing import lost
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.places import GOLDEN
from tests.support.reports import prose


async def test_a_developer_sees_one_hang_with_the_kernels_trace_of_its_load(tmp_path: Path) -> None:
    await campaign(tmp_path, only_ordinary(lost))
    report = read_report(tmp_path)
    (case,) = report.cases
    hangs = sorted(path for path in (tmp_path / "evidence").iterdir() if "host" in path.name)
    report = replace(report, cases=(replace(case, evidence=(f"evidence/{hangs[0].name}",)),))
    said = prose(explain(report, Reader.DEVELOPER))
    assert "lost one-shot interrupt" in said
    assert "There is no trace of the kernel" in said
    trace = (GOLDEN / "trace-vanished.txt").read_text()
    (hangs[0] / "trace.txt").write_text(trace + "x: the end\n" * 100)
    said = prose(explain(report, Reader.DEVELOPER))
    assert "100.500200: kvm_apicv_accept_irq: apicid 0 vec 64" in said
    assert "100.000100" not in said  # an earlier load
    assert "[... 66 more lines in trace.txt ...]" in said
    assert "There is no trace" not in said
