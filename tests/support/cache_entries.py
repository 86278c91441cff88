"""Entries of losttick's cache, for tests of the cache."""

import time
from pathlib import Path

from orchestrator.cache.store import Entry, EntryInfo, Store
from orchestrator.cache.workshop import workshop


def keep(cache: Path, key: str = "key", words: str = "words", place: str = "bochs") -> Entry:
    """Keep a folder with a file, a folder and a link in it."""
    with workshop(cache / place) as work:
        made = work / "made"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "tool").write_text(words)
        (made / "link").symlink_to("bin/tool")
        (made / "folder").symlink_to("bin")
        return Store(cache / place).add(key, made, EntryInfo("a tool", "1.0", time.time()))
