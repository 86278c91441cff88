"""`losttick lab`: the real bug, on a machine without Intel hardware."""

import typer

from orchestrator.cli import lab_cache, lab_probe, lab_run

app = typer.Typer(
    help="Boot kernels on an emulated Intel CPU with APICv (Bochs), and test them there.",
    no_args_is_help=True,
)
app.command()(lab_run.run)
app.command()(lab_probe.probe)
app.command("list")(lab_cache.list_)
app.command()(lab_cache.clean)
