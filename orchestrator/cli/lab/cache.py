"""`losttick lab list` and `losttick lab clean`: what the lab keeps on disk."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.options import AsJson

if TYPE_CHECKING:
    from orchestrator.cache.inventory import Item


_DAY_S = 86400


def list_(
    check: Annotated[
        bool, typer.Option("--check", help="Read every file and compare its SHA-256.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what the lab has fetched and built, and where it is.

    Exit code 3 if --check finds damage: what is damaged is fetched or built
    again when it is next needed.
    """
    from orchestrator.cache.inventory import items
    from orchestrator.cache.workshop import cache_folder

    cache = cache_folder()
    with errors_to_exits(as_json=as_json):
        found = list(items(cache, check=check))
        damaged = any(item.damage for item in found)
        if as_json:
            total = sum(item.size_bytes for item in found)
            plain = {"cache": cache, "size_bytes": total, "items": [asdict(i) for i in found]}
            typer.echo(json.dumps(plain, indent=2, default=str))
        else:
            _print(cache, found, check=check)
    raise typer.Exit(ExitCode.INCONCLUSIVE if damaged else ExitCode.CLEAN)


def _print(cache: Path, found: "list[Item]", *, check: bool) -> None:
    import time

    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console.width = 140
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("what", "version", "size", "made", "last used", *(["check"] if check else [])):
        table.add_column(column, overflow="fold", justify="right" if column == "size" else "left")
    for item in sorted(found, key=lambda item: item.what):
        times = (
            time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
            for at in (item.made_s, item.used_s)
        )  # fmt: skip
        state = "" if item.damage is None else "[red]damaged[/]" if item.damage else "whole"
        row = ("\n".join(item.what), item.version, _size(item.size_bytes), *times)
        table.add_row(*row, *([state] if check else []))
    if found:
        console.print(table)
    total = _size(sum(item.size_bytes for item in found))
    hint = "" if found else ": `losttick lab run` and `lab probe` fetch what they need"
    console.print(f"{total} in {cache}{hint}", markup=False, highlight=False, soft_wrap=True)
    for item in found:
        for line in item.damage or ():
            console.print(
                f"damaged: {item.path}: {line}", markup=False, highlight=False, soft_wrap=True
            )


def clean(
    older_than: Annotated[
        float, typer.Option(min=0, help="Only what was not used in so many days.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Remove what the lab has fetched and built.

    What another process uses or builds now stays; so do the files that you put
    under debs/ yourself.
    """
    from orchestrator.cache.inventory import BROUGHT
    from orchestrator.cache.inventory import clean as clean_cache
    from orchestrator.cache.workshop import cache_folder

    cache = cache_folder()
    with errors_to_exits(as_json=as_json):
        done = clean_cache(cache, older_than * _DAY_S)
        if as_json:
            typer.echo(json.dumps(asdict(done), indent=2, default=str))
            return
        typer.echo(f"freed {_size(done.freed_bytes)} in {cache}")
        for path in done.in_use:
            typer.echo(f"left {path}: another process uses it")
        if (cache / BROUGHT).exists():
            typer.echo(f"left {cache / BROUGHT}: you brought that")


def _size(size_bytes: int) -> str:
    """Return a size in the unit that suits it."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= size:
            return f"{size_bytes / size:.1f} {unit}"
    return f"{size_bytes} B"
