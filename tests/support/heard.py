"""What a run says while it runs."""


class Heard:
    """A progress that keeps the notes of a run and ignores everything else."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def __getattr__(self, name: str) -> object:
        return self.notes.append if name == "noted" else lambda *args: None
