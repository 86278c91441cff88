"""`losttick lab list` and `losttick lab clean`: what the lab keeps on disk."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cache.inventory import BROUGHT, Item, items
from orchestrator.cache.inventory import clean as clean_cache
from orchestrator.cache.workshop import cache_folder
from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.cli.text import Styled, print_json

_DAY_S = 86400


def list_(
    check: Annotated[
        bool, typer.Option("--check", help="Read every file and compare its SHA-256.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what the lab has fetched and built, and where it is.

    Exit code 3 if --check finds damaged items. They are fetched or built
    again when they are next needed.
    """
    with errors_to_exits(as_json=as_json):
        cache = cache_folder()
        found = list(items(cache, check=check))
        damaged = any(item.damage for item in found)
        if as_json:
            total = sum(item.size_bytes for item in found)
            plain = {"cache": cache, "size_bytes": total, "items": [asdict(i) for i in found]}
            print_json(plain)
        else:
            _print(Screen(), cache, found, check=check)
    raise typer.Exit(ExitCode.UNFIT if damaged else ExitCode.CLEAN)


def _print(screen: Screen, cache: Path, found: Sequence[Item], *, check: bool) -> None:
    columns = ("what", "version", "size", "made", "last used", *(["check"] if check else []))
    table = Table(columns, right=frozenset({"size"}), lines_in=frozenset({"what"}))
    for item in sorted(found, key=lambda item: item.what):
        times = (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
            for at in (item.made_s, item.used_s)
        )  # fmt: skip
        row = ("\n".join(item.what), item.version, _size(item.size_bytes), *times)
        table.add(*row, *([_state(item)] if check else []))
    screen.table(table)
    total = _size(sum(item.size_bytes for item in found))
    hint = "" if found else ": `losttick lab run` and `lab probe` fetch what they need"
    screen.line(f"{total} in {cache}{hint}")
    for item in found:
        for line in item.damage or ():
            screen.line(f"damaged: {item.path}: {line}")


def _state(item: Item) -> Styled:
    if item.damage is None:
        return Styled("")
    return Styled("damaged", "red") if item.damage else Styled("whole")


def clean(
    older_than: Annotated[
        float, typer.Option(min=0, help="Remove only items not used for this many days.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Remove what the lab has fetched and built.

    Items that another process is using or building stay, and so do the files
    that you put under debs/ yourself.
    """
    with errors_to_exits(as_json=as_json):
        cache = cache_folder()
        done = clean_cache(cache, older_than * _DAY_S)
        if as_json:
            print_json(asdict(done))
            return
        screen = Screen()
        screen.line(f"freed {_size(done.freed_bytes)} in {cache}")
        for path in done.in_use:
            screen.line(f"left {path}: another process uses it")
        if (cache / BROUGHT).exists():
            screen.line(f"left {cache / BROUGHT}: you put these files there")


def _size(size_bytes: int) -> str:
    """Return a size in the largest unit of which it has at least one."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} B"
