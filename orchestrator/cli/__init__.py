"""The command line: one file a command."""

from typing import Annotated

import typer

from orchestrator.cli.doctor import doctor
from orchestrator.cli.lab.app import app as lab
from orchestrator.cli.plan import app as plan
from orchestrator.cli.probe import probe
from orchestrator.cli.run import run
from orchestrator.version import __version__

app = typer.Typer(
    name="losttick",
    help="Detect LAPIC timer interrupts that KVM loses when QEMU loads a snapshot.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(run)
app.command()(doctor)
app.command()(probe)
app.add_typer(plan, name="plan")
app.add_typer(lab, name="lab")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"losttick {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line."""
    app()
