"""`losttick lab`: the real bug, on a machine without Intel hardware."""

import typer

from orchestrator.cli.lab import cache as lab_cache
from orchestrator.cli.lab import probe as lab_probe
from orchestrator.cli.lab import run as lab_run

app = typer.Typer(
    help="Boot kernels on an emulated Intel CPU with APICv (Bochs), and test them there.",
    no_args_is_help=True,
)


app.command()(lab_run.run)


app.command()(lab_probe.probe)


app.command("list")(lab_cache.list_)


app.command()(lab_cache.clean)
