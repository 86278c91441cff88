"""`losttick report --index`: the page over all runs in a folder."""

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from orchestrator.results.outputs.html import index as index_page
from orchestrator.testing import FACTS, Script, immediate, lost
from tests.support.command_here import report
from tests.support.cut_short_runs import cut_short, go_on
from tests.support.run_folders import make_run_folder
from tests.support.virtual_time import in_virtual_time

#: A name that would be markup.
NASTY = "<script>alert(1)<&script> \"'?#%41"


async def make_runs(place: Path) -> None:
    """Make two runs of one plan, and one that is cut short."""
    for name, script, kernel in (
        ("1-before", Script(immediate), "6.6.1-fake"), ("2-after", Script(lost), "6.7.0-new"),
    ):  # fmt: skip
        (out := place / name).mkdir()
        await go_on(out, script, replace(FACTS, kernel=kernel))
    (cut := place / NASTY).mkdir()
    await cut_short(cut, Script(immediate), "trial", 3)


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """A folder with two runs of one plan, one that was cut short, and one that is no run."""
    in_virtual_time(lambda: make_runs(tmp_path))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.jsonl").write_text("{}\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("1-before")
    return tmp_path


class Links(HTMLParser):
    """Collects tags and links."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href" and value]


def index(night: Path) -> str:
    done = report("--index", night)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"index: {night / 'index.html'}\n"
    assert "broken/journal.jsonl: line 1" in done.stderr
    return (night / "index.html").read_text()


def test_the_newest_run_comes_first_with_what_changed(night: Path) -> None:
    page = index(night)
    rows = re.findall(r"<tr>\n<th scope=\"row\">.*?</tr>", page, re.DOTALL)
    assert len(rows) == 4
    cut, after, before, broken = rows
    assert "inconclusive" in cut
    assert "kernel: 6.7.0-new → 6.6.1-fake" in cut
    assert "affected" in after
    assert "verdict: clean → affected<br>kernel: 6.6.1-fake → 6.7.0-new</span></td>" in after
    assert "clean" in before
    assert "→" not in before
    assert "unreadable" in broken


def test_each_run_has_a_page_and_names_are_no_markup(night: Path) -> None:
    page = index(night)
    found = Links()
    found.feed(page)
    assert "script" not in found.tags
    nasty = "%3Cscript%3Ealert%281%29%3C%26script%3E%20%22%27%3F%23%2541"
    assert f"{nasty}/run-page.html" in found.links
    assert "2-after/run-page.html" in found.links
    assert "affected" in (night / "2-after" / "run-page.html").read_text()
    assert (night / NASTY / "run-page.html").is_file()
    assert not (night / "link" / "run-page.html").is_symlink()
    assert "link/run-page.html" not in found.links


def test_only_runs_that_may_have_changed_are_read_again(night: Path) -> None:
    index(night)
    pages = {name: night / name / "run-page.html" for name in ("1-before", "2-after", NASTY)}
    before = {name: page.stat().st_ino for name, page in pages.items()}
    index(night)
    after = {name: page.stat().st_ino for name, page in pages.items()}
    assert {name for name in pages if after[name] != before[name]} == {NASTY}
    pages["1-before"].unlink()
    index(night)
    assert pages["1-before"].is_file()
    (night / "index.json").write_text('[{"folder": 3}]')
    index(night)
    assert {row["folder"] for row in json.loads((night / "index.json").read_text())} == {
        "1-before", "2-after", NASTY, "broken"
    }  # fmt: skip


def test_a_folder_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"odd\xff")
    odd = make_run_folder("affected", tmp_path / name)
    make_run_folder("affected", tmp_path / "other")
    for place in re.findall(r"evidence/[\w-]+", (odd / "journal.jsonl").read_text()):
        (odd / place).mkdir(parents=True, exist_ok=True)
    for _ in range(2):
        assert report("--index", tmp_path).returncode == 0
        page = (tmp_path / "index.html").read_text()
        found = Links()
        found.feed(page)
        assert "odd%FF/run-page.html" in found.links
        assert "odd\\udcff" in page
    kept = {row["folder"] for row in json.loads((tmp_path / "index.json").read_text())}
    assert kept == {"other"}
    report(odd, "--html", tmp_path / "page.html")
    found.feed((tmp_path / "page.html").read_text())
    assert any(re.fullmatch(r"odd%FF/evidence/[\w-]+/", link) for link in found.links)


@pytest.mark.parametrize("fault", ["reading", "writing"])
def test_a_fault_that_nobody_foresaw_is_told_of_its_run_alone(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("1-before", "2-after"):
        make_run_folder("affected", tmp_path / name)

    def fail(given: object, *others: object) -> Any:
        if "2-after" in str(given):
            raise ZeroDivisionError("division by zero")
        return usual(given, *others)

    usual: Any
    if fault == "reading":
        usual = index_page.read_report
        monkeypatch.setattr(index_page, "read_report", fail)
    else:
        usual = index_page.OUTPUT.render
        monkeypatch.setattr(type(index_page.OUTPUT), "render", lambda _, *args: fail(*args))
    done = report("--index", tmp_path)
    assert done.returncode == 0
    assert "2-after" in done.stderr
    assert "a fault in losttick itself: ZeroDivisionError: division by zero" in done.stderr
    found = Links()
    found.feed((tmp_path / "index.html").read_text())
    assert "1-before/run-page.html" in found.links
    assert "2-after/run-page.html" not in found.links


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--index", "."), "no folder in it has a journal.jsonl"),
        (("--index", "no-such"), "No such file or directory"),
        (("--junit", "-"), "name the output folders of runs"),
    ],
)
def test_a_folder_without_runs_is_refused(
    args: tuple[str, ...], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = report(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_page_that_the_user_made_in_a_run_stays(night: Path) -> None:
    mine = night / "1-before" / "report.html"
    assert report("--html", mine, mine.parent).returncode == 0
    before = mine.read_bytes()
    mine.write_bytes(before + b"<!-- mine -->")
    index(night)
    assert mine.read_bytes() == before + b"<!-- mine -->"
