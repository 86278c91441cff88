"""Findings carry what is decided from them; their wording decides nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import Exposure, ExposureState, Reason
from orchestrator.doctor.examine import apicv_finding, lab_finding
from orchestrator.doctor.findings import Checkup, Finding, Mend
from orchestrator.doctor.mends import ENABLE_APICV, FixError, fix, install
from orchestrator.process.toolchain import BUILD_TOOLS, packages
from orchestrator.testing.host import FACTS
from tests.support.exposures import EXPOSED

TICKS = Finding("any name", True, "ticks", allows_verdict=True)


def checkup(*findings: Finding) -> Checkup:
    return Checkup(FACTS, EXPOSED, findings)


def test_one_guest_that_ticks_allows_a_verdict() -> None:
    assert checkup(replace(TICKS, good=False), TICKS).usable
    assert not checkup(replace(TICKS, good=False)).usable
    assert not checkup(Finding("kvm one-shot", True, "ticks")).usable


def test_only_safe_mends_are_applied_each_once() -> None:
    tools, module = install("qemu-utils"), Mend(("modprobe", "kvm"), safe=False)
    bad = [Finding(name, False, "", mend) for name, mend in
           (("a", tools), ("b", module), ("c", tools), ("d", None))]  # fmt: skip
    assert checkup(*bad).safe_mends == (tools,)


@pytest.mark.parametrize(
    ("reason", "flags", "mend"),
    [
        (Reason.APICV_OFF, ("apicv",), ENABLE_APICV),
        (Reason.APICV_OFF, (), None),
        (Reason.APICV_INHIBITED, ("apicv",), None),
    ],
)
def test_apicv_is_switched_on_only_where_the_cpu_has_it(
    reason: Reason, flags: tuple[str, ...], mend: Mend | None
) -> None:
    exposed = Exposure(ExposureState.NOT_EXPOSED, "enable_apicv=N, in other words", reason)
    assert apicv_finding(replace(FACTS, vmx_flags=flags), exposed).mend == mend


def test_only_root_mends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(FixError, match="sudo losttick doctor --fix"):
        fix(checkup(Finding("tool", False, "", install("no-such-package"))))
    assert fix(checkup(TICKS)) == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_mend_shows_what_it_does_and_says_why_it_failed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    *,
    fails: bool,
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "doing $*"\n[ "$1" = -qq ] || exit {int(fails)}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    mend = install("some-package")
    broken = checkup(Finding("tool", False, "", mend))
    if fails:
        with pytest.raises(FixError, match=r"mending this host: apt-get install.*: doing install"):
            fix(broken)
    else:
        assert fix(broken) == [mend.command]
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "doing -qq update",
        "doing install -y --no-install-recommends some-package",
    ]


def test_a_mend_whose_tool_is_missing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(FixError, match="apt-get is not installed"):
        fix(checkup(Finding("tool", False, "", install("some-package"))))


def test_a_missing_build_tool_is_named_with_all_packages_of_a_lab() -> None:
    assert lab_finding([]).good
    finding = lab_finding([tool for tool in BUILD_TOOLS if tool.name in ("g++", "xz")])
    assert not finding.good
    assert finding.seen == "can't be built here: not installed: g++, xz"
    assert finding.mend == install(*packages())
