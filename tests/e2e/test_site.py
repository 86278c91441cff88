"""The docs as a site and as manual pages: made strictly, alike each time, and good to look at."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser

from tests.support.browser import PHONE, chromium, overflow
from tests.support.docs import PAGES, blocks
from tests.support.needs import Need, lacking
from tests.support.places import DOCS, ROOT

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(600)]


def build(folder: Path, **variables: str) -> Path:
    """Make the site as `./bootstrap docs` does; return its folder."""
    site = folder / "docs" / "_build"
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", "docs",
         "-d", folder / "doctrees", ".", site],
        cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("docs"))


class Found(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name == "href" and value and tag == "a":
                self.links.append(value)
            elif name in ("src", "href", "srcset") and value:
                self.loaded.append(value)


def test_every_page_is_there_and_every_link_leads_somewhere(site: Path) -> None:
    pages = {page: Found(page) for page in site.rglob("*.html")}
    for page in PAGES:
        assert site / page.relative_to(ROOT).with_suffix(".html") in pages
    broken = []
    for page, found in pages.items():
        for link in found.links:
            path, _, anchor = unquote(link).partition("#")
            if ":" in path:
                continue
            target = (page.parent / path).resolve() if path else page
            known = pages[target].anchors if target in pages else set()
            if not target.is_file() or (anchor and anchor not in known):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert not broken


def test_nothing_comes_from_elsewhere(site: Path) -> None:
    loaded = {each for page in site.rglob("*.html") for each in Found(page).loaded}
    assert loaded
    assert not [each for each in loaded if "//" in each]
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text()
        assert "@import" not in sheet.read_text()


def test_it_is_the_same_each_time(site: Path, tmp_path: Path) -> None:
    again = build(tmp_path, PYTHONHASHSEED="7", TZ="Asia/Tokyo", LC_ALL="C")
    names = {path.relative_to(site) for path in site.rglob("*") if path.is_file()}
    assert names == {path.relative_to(again) for path in again.rglob("*") if path.is_file()}
    differ = [name for name in names if (site / name).read_bytes() != (again / name).read_bytes()]
    assert not differ


def test_the_manual_pages(site: Path) -> None:
    if not shutil.which("man") or not shutil.which("groff"):
        lacking(Need.MANUAL, "there is no man or no groff on PATH: apt-get install man-db")
    pages = sorted((site / "man" / "man1").iterdir())
    assert len(pages) > 20
    env = os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""}
    for page in pages:
        for command in ("groff -man -t -ww -z -Tutf8", "man --warnings -l"):
            done = subprocess.run(
                [*command.split(), page], env=env, capture_output=True, check=False
            )
            assert (done.returncode, done.stderr) == (0, b""), page
    (block,) = (b for b in blocks("sh") if b.page == DOCS / "commands.md" and "man -M" in b.text)
    for command, name in zip(block.commands, ("losttick", "losttick-lab-run"), strict=True):
        done = subprocess.run(
            command.split(), cwd=site.parents[1], env=env, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"{name} - " in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def test_pages_fit_a_phone_and_ask_for_nothing_else(site: Path, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": PHONE, "height": 800})
    view = context.new_page()
    heard: list[str] = []
    view.on("console", lambda message: heard.append(message.text))
    view.on("pageerror", lambda error: heard.append(str(error)))
    view.on("request", lambda request: heard.append(request.url))
    wide = {}
    for page in sorted(site.rglob("*.html")):
        view.goto(page.as_uri())
        if pixels := overflow(view):
            wide[page.name] = pixels
    context.close()
    assert not wide
    assert not [each for each in heard if not each.startswith((site.as_uri(), "data:"))]
