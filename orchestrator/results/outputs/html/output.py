"""The output `html`. What it needs is in the extra `report`."""

from collections.abc import Sequence

from orchestrator.results.outputs.html.page import page
from orchestrator.results.outputs.html.template import filled
from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.report import Report


class HtmlOutput:
    """One HTML file without JavaScript that needs no network."""

    def render(self, reports: Sequence[Report], options: OutputOptions) -> bytes:
        """Return the page."""
        return filled(page(reports, options.target))


OUTPUT = HtmlOutput()
