"""`python -m orchestrator` is `losttick`."""

from orchestrator.cli import main

main()
