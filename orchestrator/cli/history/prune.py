"""`losttick history prune`: removes the folders of old runs."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from orchestrator.cli.exits import errors_to_exits
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.screen import Screen
from orchestrator.results.history.place import load


def prune(
    keep: Annotated[str, typer.Option(help="Age up to which folders stay, such as 90d, 12h, 8w.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be removed.")
    ] = False,
    db: Db = None,
) -> None:
    """Remove the folders of old runs; keep the newest evidence.

    The history keeps the counts of all runs. A folder with files that losttick
    did not write stays, too.
    """
    with errors_to_exits(as_json=False):
        pruning, history, screen = load("prune"), opened(db), Screen()
        span, removed = pruning.age(keep), 0
        for each in pruning.choose(history, span, datetime.now(UTC)):
            done = pruning.remove(each) if each.removed and not dry_run else each
            removed += done.removed
            what = f"kept, {done.why}" if not done.removed else "would go" if dry_run else "removed"
            screen.line(f"run {done.run.id}: {what}: {done.run.folder}")
        done_words = "would be removed" if dry_run else "removed"
        screen.prose(f"{removed} folder{'' if removed == 1 else 's'} {done_words}.")
