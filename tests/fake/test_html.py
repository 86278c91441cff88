"""Pages of whole campaigns on the fake host, of old journals, and of hostile data."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.results.bundling.pack import pack
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report
from orchestrator.testing import immediate, lost
from tests.support.bundles import contents
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.golden_campaigns import BEHAVIOURS
from tests.support.pages import Page
from tests.support.run_folders import OLD_JOURNALS, make_run_folder
from tests.support.virtual_time import in_virtual_time

#: Journals of every verdict. The others are read by the thorough tests.
USUAL = {"real-smp", "smp-mixed", "skipped", "real-interrupted", "unknown"}


def render(*folders: Path, target: Path | None = None) -> bytes:
    reports = [read_report(folder) for folder in folders]
    return output("html").render(reports, OutputOptions(target=target))


def page_of(*folders: Path, target: Path | None = None) -> Page:
    found = Page(render(*folders, target=target))
    found.check()
    return found


@pytest.fixture
def affected(tmp_path: Path) -> Path:
    """The folder of a run in which every load is lost."""
    folder = tmp_path / "run"
    folder.mkdir()
    in_virtual_time(lambda: campaign(folder, only_ordinary(lost), trials=5))
    return folder


def test_the_page_of_a_hang(affected: Path) -> None:
    page = page_of(affected, target=affected.parent / "pages" / "page.html")
    for said in (
        "a virtual machine freezes for good",  # the answer
        "5 of 5",  # the counts
        "expired or was never started, and its interrupt never reached the guest",  # the diagnosis
        "NMI 3, which re-arms the guest arms its timer again: ticks come back",  # the timeline
        "LVTT", "info registers", "QMP log", "End of the console",
        "losttick run --accel kvm --period 100 --rule-out 0.5 --trials 5 --seed 1",
        "2 of 5 trials with evidence",
    ):  # fmt: skip
        assert said in page.text, said
    shown = [link for link in page.links if link.startswith("..")]
    assert shown == [f"../run/evidence/000{n}-host-lost/" for n in (2, 3, 4)]
    bundle = affected.with_name("bundle")
    bundle.write_bytes(pack(affected).data)
    packed = Page(contents(bundle)["report.html"])
    shown = [link for link in packed.links if "evidence/" in link]
    assert shown == [f"evidence/000{n}-host-lost/" for n in (2, 3, 4)]  # once it is unpacked
    assert str(affected.parent) not in packed.text
    assert page.tags["svg"] == 4  # the mark, the loss rates, along the trials, by phase


def test_the_same_run_gives_the_same_bytes(affected: Path) -> None:
    first = render(affected)
    render(make_run_folder("cells", affected.parent / "other"))  # moves vl-convert's own counters
    assert render(affected) == first


async def test_the_steps_of_a_hang_are_at_their_places(tmp_path: Path) -> None:
    await campaign(tmp_path, only_ordinary(BEHAVIOURS["pending until info lapic"]), trials=1)
    text = page_of(tmp_path).text
    order = ["Saved (save1)", "Loaded, and let run on", "No tick", "query-status", "pmemsave",
             "info lapic ticks came back", "A tick brought back by info lapic"]  # fmt: skip
    places = [text.index(each) for each in order]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in USUAL else pytest.mark.thorough)
        for name in OLD_JOURNALS
    ],
)
def test_old_journals(name: str, tmp_path: Path) -> None:
    assert page_of(make_run_folder(name, tmp_path)).text


async def test_several_runs(affected: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    await campaign(other, only_ordinary(immediate), trials=5, mode=["one-shot", "periodic"])
    page = page_of(affected, other, make_run_folder("skipped", tmp_path / "old"))
    assert "Runs by cells" in page.text
    assert page.tags["article"] == 3


NASTY = "<script>alert(1)</script>\x1b[31m\x00\u202e[red]&lt; ]]> {{ 7*7 }}"


async def test_hostile_data_is_inert(affected: Path) -> None:
    """Every text of the journal and of the evidence is another's."""

    def spoil(value: object) -> object:
        if isinstance(value, dict):
            return {name: spoil(each) for name, each in value.items()}
        if isinstance(value, list):
            return [spoil(each) for each in value]
        return NASTY + value if isinstance(value, str) and value in spoiled else value

    journal = affected / JOURNAL
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    facts = records[1]["facts"]
    spoiled = {facts[name] for name in ("kernel", "kernel_build", "cpu", "microcode")}
    spoiled |= {facts["qemu"]["version"], facts["qemu"]["path"]}
    for record in records:
        if record["record"] == "trial":
            spoiled |= {found["sentence"] for found in record.get("diagnoses", ())}
            spoiled.add(record.get("why", "-"))
    journal.write_text(
        "".join(json.dumps(spoil(record), separators=(",", ":")) + "\n" for record in records)
    )
    for folder in (affected / "evidence").iterdir():
        seen = json.loads((folder / "evidence.json").read_text())
        for part in seen["evidence"]["vcpus"]:
            part["lapic_text"] = part["registers_text"] = NASTY * 10
        seen["evidence"]["qmp_log"] = [{"t_ns": 1, "way": NASTY, "message": {NASTY: [NASTY]}}]
        seen["evidence"]["looks"][0]["name"] = NASTY
        seen["save"]["tag"] = NASTY
        (folder / "evidence.json").write_text(json.dumps(seen))
        (folder / "console.txt").write_bytes(b"<script>\xff\x1b" * 100 + b"x" * (10 << 20))
        (folder / "trace.txt").write_text(NASTY.encode("utf-8", "replace").decode() * 1000)
    content = render(affected)
    Page(content).check()
    shown = content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script" not in shown
    assert not set(shown) & {"\x1b", "\0", "\u202e"}
    assert "{{ 7*7 }}" in shown
    assert "more characters]" in shown
    assert len(content) < 300_000


def test_a_page_of_many_hangs_is_small(tmp_path: Path) -> None:
    axes = {"mode": ["one-shot", "periodic", "tsc-deadline"], "method": ["hmp", "exec"]}
    in_virtual_time(lambda: campaign(tmp_path, only_ordinary(lost), trials=3, vcpus=[1, 2], **axes))
    content = render(tmp_path)
    page = Page(content)
    assert page.text.count("Trial 1: lost") == 12
    assert len(content) <= 300_000


def test_evidence_that_is_gone(affected: Path) -> None:
    shutil.rmtree(affected / "evidence")
    assert "The evidence can't be shown" in page_of(affected).text


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("orchestrator.results.outputs.h")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(OutputError, match=r"vl_convert is missing.*losttick\[report\]"):
        output("html")
