"""Pages of the HTML report in a real browser."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from orchestrator.results.outputs.html.index import write_index
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import read_report
from orchestrator.testing import VirtualTimeLoop, lost
from tests.support.browser import PHONE, chromium, open_all, opened, overflow, violations
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.run_folders import OLD_JOURNALS, make_run_folder


def write_page(path: Path, *folders: Path) -> Path:
    reports = [read_report(folder) for folder in folders]
    path.write_bytes(output("html").render(reports, OutputOptions(target=path)))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_a_page_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    path = write_page(tmp_path / "page.html", make_run_folder("smp-mixed", tmp_path / "run"))
    with opened(browser, path, width=PHONE, bypass_csp=True) as page:
        open_all(page)
        assert overflow(page) <= 0
        assert violations(page) == []
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of old journals, of several of them, and of a run with hangs."""
    place = tmp_path_factory.mktemp("pages")
    folders = {name: make_run_folder(name, place / name) for name in OLD_JOURNALS}
    found = {name: write_page(place / f"{name}.html", each) for name, each in folders.items()}
    found["hangs"] = write_page(place / "hangs.html", run_with_hangs(place / "hangs"))
    found["several"] = write_page(place / "several.html", *list(folders.values())[:8])
    return found


def run_with_hangs(folder: Path) -> Path:
    """Run a campaign on the fake host in which every load is lost.

    It has a thread of its own: in this one the event loop of the browser runs.
    """

    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(
                campaign(folder, only_ordinary(lost), trials=5, mode=["one-shot", "periodic"])
            )

    folder.mkdir()
    with ThreadPoolExecutor() as threads:
        threads.submit(run).result()
    return folder


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (1100, "dark")])
def test_every_page(browser: Browser, pages: dict[str, Path], width: int, scheme: str) -> None:
    for path in pages.values():
        with opened(browser, path, width=width, scheme=scheme, bypass_csp=True) as page:  # type: ignore[arg-type]
            assert overflow(page) <= 0, path
            open_all(page)
            assert overflow(page) <= 0, path
            assert violations(page) == [], path


def named(index: Path) -> list[str]:
    """Return the names of the runs in an index, in its order."""
    return [each["folder"] for each in json.loads(index.with_name("index.json").read_text())]


@pytest.mark.thorough
@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "light"), (1100, "dark")])
def test_the_index(browser: Browser, tmp_path: Path, width: int, scheme: str) -> None:
    for name in list(OLD_JOURNALS)[:6]:
        make_run_folder(name, tmp_path / name)
    path = write_index(tmp_path, print)
    with opened(browser, path, width=width, scheme=scheme, bypass_csp=True) as page:  # type: ignore[arg-type]
        assert overflow(page) <= 0
        assert violations(page) == []
        links = page.eval_on_selector_all("th a", "found => found.map(each => each.href)")
    assert links == [(path.parent / name / "run-page.html").as_uri() for name in named(path)]


@pytest.mark.thorough
def test_pages_on_paper(browser: Browser, pages: dict[str, Path]) -> None:
    for path in pages.values():
        with opened(browser, path, width=718, media="print") as page:
            assert overflow(page) <= 0, path


@pytest.mark.thorough
def test_the_policy_of_a_page_forbids_scripts(browser: Browser, pages: dict[str, Path]) -> None:
    """Were the escaping of texts broken, the browser itself would stop the script."""
    path = pages["affected"]
    spoiled = path.with_name("spoiled.html")
    script = b"<script>document.title = 'owned'</script><img src=http://127.0.0.1:9/x>"
    spoiled.write_bytes(path.read_bytes().replace(b"</main>", script + b"</main>"))
    context = browser.new_context()
    page = context.new_page()
    page.goto(spoiled.as_uri())
    assert page.title() != "owned"
    context.close()
