"""`losttick history trend`: which cells changed, and when."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.at_end import wrote
from orchestrator.cli.exits import ExitCode, errors_to_exits
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json
from orchestrator.results.history.place import load
from orchestrator.results.outputs.table import trend_page
from orchestrator.results.outputs.target import check_target, write_target


def trend(
    label: Annotated[str, typer.Option(help="Only runs with this label.", show_default=False)] = "",
    host: Annotated[str, typer.Option(help="Only runs on this host.", show_default=False)] = "",
    html: Annotated[
        Path | None, typer.Option(help="Also write an HTML page.", metavar="FILE")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Find cells whose loss rate or first tick changed, and when.

    Names the range of runs in which each change came, and what else changed
    in the host then. Ends with 0, whatever it finds.
    """
    with errors_to_exits(as_json=as_json):
        page = None
        if html:
            check_target(html)
            page = trend_page()
        trending = load("trend")
        found = trending.trend(opened(db).nights(label, host))
        screen = Screen()
        turned = [(each, turn) for each in found for turn in each.turns]
        if as_json:
            print_json(
                [
                    {
                        "host": each.host,
                        "cell": each.cell,
                        "nights": len(each.nights),
                        "changes": [
                            {
                                "what": turn.what,
                                **asdict(turn.change),
                                "first_run": turn.nights[0].run,
                                "last_run": turn.nights[1].run,
                                "changed": dict(turn.hosts.facts),
                                "words": trending.sentence(each, turn),
                            }
                            for turn in each.turns
                        ],
                    }
                    for each in found
                ]
            )
        else:
            for each, turn in turned:
                screen.prose(f"{each.host}: {trending.sentence(each, turn)}")
            nights = max((len(each.nights) for each in found), default=0)
            if not turned:
                screen.prose(f"No change in {len(found)} cells over up to {nights} runs.")
        if html and page:
            if not wrote(f"writing {html}", lambda: write_target(html, page(found))):
                raise typer.Exit(ExitCode.HARNESS)
            if not as_json:
                screen.line(f"html: {html}")
