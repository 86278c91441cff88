"""`losttick fleet collect`: the runs of a fleet, their table, and one answer."""

from collections.abc import Callable
from typing import Annotated

import typer

from orchestrator.cli.at_end import wrote
from orchestrator.cli.exits import despite_output, errors_to_exits
from orchestrator.cli.fleet.collected_table import print_collected
from orchestrator.cli.fleet.options import Where
from orchestrator.cli.history.options import Db, opened
from orchestrator.cli.options import AsJson
from orchestrator.cli.screen import Screen
from orchestrator.cli.text import print_json, say_error
from orchestrator.cli.whole import Whole
from orchestrator.fleet.begin import find, reopen
from orchestrator.fleet.collect import Collected
from orchestrator.fleet.collect import collect as collected
from orchestrator.fleet.collected_data import collected_data
from orchestrator.fleet.exit import DEFAULT, FleetFailOn, fleet_exit
from orchestrator.results.outputs.output import OutputError
from orchestrator.results.outputs.table import import_output

#: Runs that get a page of their own, unless the user says how many.
_PAGES = 20


def collect(
    where: Where,
    fail_on: Annotated[
        list[FleetFailOn] | None,
        typer.Option(
            "--fail-on",
            help="Kind of result that ends with an exit code other than 0. May be given more than "
            "once.",
            show_default="every kind but cant-tell",
        ),
    ] = None,
    pages: Annotated[
        int | None,
        typer.Option(
            parser=Whole(0),
            help="Runs that get an HTML page of their own, the gravest first.",
            show_default="20",
        ),
    ] = None,
    html: Annotated[bool, typer.Option(help="Write the fleet's HTML page, fleet.html.")] = True,
    db: Db = None,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Add nothing to the history.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the runs of a fleet together: history, table, one answer.

    Kernels are compared within hosts, so that a bad host is not taken for a
    bad kernel. Exit codes: that of the gravest run; 1 if a kernel is worse
    than the first one; 4 if a task has no run that counts.
    """
    with errors_to_exits(as_json=as_json):
        fleet, known = reopen(find(where))
        settings = fleet.loaded.fleet
        history = None if no_history else opened(db or fleet.loaded.history)
        found = collected(
            fleet.folder,
            fleet.tasks,
            labels=settings.labels,
            nodes={task: seen.node for task, seen in known.items()},
            whys={task: seen.why for task, seen in known.items()},
            history=history,
        )
        code, screen = fleet_exit(found, frozenset(fail_on or DEFAULT)), Screen()
        if as_json:
            print_json(collected_data(found))
        else:
            print_collected(screen, found)
        if write := _page_writer() if html else None:
            most, shown = _PAGES if pages is None else pages, None if as_json else screen
            if not wrote("writing the page of the fleet", lambda: write(found, most, shown)):
                code = despite_output(code)
    raise typer.Exit(code)


def _page_writer() -> Callable[[Collected, int, Screen | None], None] | None:
    """Return what writes the fleet's pages; None if a package is missing, which is said."""
    try:
        module = import_output("the page of the fleet", "orchestrator.fleet.page", "report")
    except OutputError as error:
        say_error(f"{error} --no-html leaves the page out.")
        return None

    def write(found: Collected, most: int, screen: Screen | None) -> None:
        page = module.write_pages(found, most, say_error)
        if screen:
            screen.line(f"html: {page}")

    return write
