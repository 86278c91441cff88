"""Keeps what a run says for a person."""

from orchestrator.campaign.events import NoProgress

#: Notes that are kept. A busy host may be told of again and again.
_MOST = 50


class Notes(NoProgress):
    """A `Progress` that keeps notes, and nothing else: the result has the rest."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def noted(self, text: str) -> None:
        """Keep a note."""
        if len(self.texts) < _MOST:
            self.texts.append(text)
