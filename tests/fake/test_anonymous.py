"""An anonymous bundle: what names a person or computer is planted, and every byte searched."""

import getpass
import json
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.host.boot import BOOT_ID, MACHINE_ID
from orchestrator.journal.file import JOURNAL
from orchestrator.journal.line import LineError, decode
from orchestrator.journal.records import KINDS
from orchestrator.results.bundling.addresses import IPV4, IPV6, MAC
from orchestrator.results.bundling.host_names import domains, host_names
from orchestrator.results.bundling.pack import NotAnonymousError, pack
from orchestrator.results.bundling.secrets import (
    DOMAIN,
    HOST,
    NETWORK_DEVICES,
    Secrets,
    secrets_here,
)
from orchestrator.results.report import read_report
from orchestrator.testing import FACTS, lost
from tests.support.bundles import contents
from tests.support.fake_campaigns import campaign, only_ordinary

USER = "alice.l\u00f6f"

FOREIGN = "bob"


#: Addresses beside other text, as logs have them; `#` begins and ends what must be hidden.
BESIDE = (
    "MAC:#52:54:00:12:00:01#", "hwaddr #52:54:00:12:00:02#: link up",
    "MAC=#ff:ff:ff:ff:ff:ff:52:54:00:12:00:03:08:00# SRC=", "id #01:52:54:00:12:00:04#",
    "enx#525400120005#: renamed", "port #0011.2233.4406# up", "#52-54-00-12-00-07#: x",
    "from #fe80::5054:ff:fe12:8#: icmp_seq=1", "#2001:470::9#: up", "inet6:#fe80::a/64",
    "addr:#2a02:810:1:2:3:4:5:b#:", "#64:ff9b::10.20.30.12#.", "ip-#10-20-30-13#.ec2",
    "at:#10.20.30.14#:22", "#15.30.20.10#.in-addr.arpa",
)  # fmt: skip

ADDRESSES = [text.split("#")[1].partition("/")[0] for text in BESIDE]


def plants(home: Path) -> list[str]:
    """Return what must not be in the bundle."""
    boot, machine = Path(BOOT_ID), Path(MACHINE_ID)
    found = [
        USER, str(home), str(Path.cwd()), socket.gethostname(), f"/home/{FOREIGN}/qemu",
        "52:54:00:ab:cd:ef", "52-54-00-AB-CD-EF", "10.20.30.40", "fe80::1a2b:3c4d:5e6f:7a8b",
        "2a00:1450:4001:82a::200e", "Initech",
    ]  # fmt: skip
    known = [each.read_text().strip() for each in (boot, machine) if each.exists()]
    found += [each for each in known if each]  # a system that never booted has an empty machine id
    macs = [each.read_text().strip() for each in Path(NETWORK_DEVICES).glob("*/address")]
    found += [each.replace(":", "") for each in macs if each.strip("0:")]  # its digits alone
    return [*found, "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "homes" / "gone-fishing"
    (place / "work").mkdir(parents=True)
    for name, value in (("HOME", str(place)), ("LOGNAME", USER), ("USER", USER)):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(place / "work")
    return place


def planted(value: Any, text: str) -> Iterator[Any]:
    """Yield copies of plain data, each with the text in one more place, keys and values."""
    if isinstance(value, str):
        yield f"{value} {text}"
    elif isinstance(value, dict):
        for key in value:
            yield from (value | {key: each} for each in planted(value[key], text))
        yield value | {text: "x"}
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from (
                [*value[:number], each, *value[number + 1 :]] for each in planted(item, text)
            )


#: Fields that name a record of the run to another one.
LINKS = ("record", "cell", "cells", "save", "evidence", "plan")


def with_plants(line: bytes, text: str) -> bytes:
    """Return a line of a journal with the text in every field that may have it."""
    fields = json.loads(line)
    for name in [each for each in fields if each not in LINKS]:
        # One after the other, as long as the line is still a record.
        for _ in range(50):
            for other in planted(fields[name], text):
                if json.dumps(other).count(text) > 40:
                    break
                try:
                    decode(json.dumps(fields | {name: other}).encode())
                except (LineError, ValueError):
                    continue
                fields[name] = other
            break
    return json.dumps(fields, ensure_ascii=len(text) % 2 == 0).encode() + b"\n"


async def run_with_plants(folder: Path, texts: list[str]) -> None:
    """Make a run's folder in which every field of every record has the texts."""
    await campaign(folder, only_ordinary(lost), qemu_args=f"-name {USER}")
    journal = folder / JOURNAL
    text = " | ".join([*texts, *(each.replace("#", "") for each in BESIDE)])
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(with_plants(line, text) for line in lines))
    (folder / "serial").mkdir()
    (folder / "serial" / f"1-{USER}.log").write_bytes(text.encode() + b"\xff" + text.encode())
    for path in folder.rglob("*.*"):
        if path.suffix in (".txt", ".log"):
            path.write_bytes(path.read_bytes() + text.encode())
        elif path.suffix == ".json":
            data = json.loads(path.read_bytes())
            data["diagnosis"] = {"sentence": text, text: text}
            data["evidence"]["qmp_log"] = [{"execute": json.dumps({"path": text})}]
            path.write_text(json.dumps(data))


async def test_nothing_that_names_anybody_is_in_any_byte(home: Path) -> None:
    folder = home / "work" / "out"
    folder.mkdir()
    texts = plants(home)
    await run_with_plants(folder, texts)
    plain = contents_of(pack(folder).data, home)
    texts += ADDRESSES
    for text in texts:
        assert any(text.encode() in content for content in plain.values()), text
    names = {json.loads(line)["record"] for line in plain[JOURNAL].splitlines()}
    assert len(names) > 8
    assert names <= set(KINDS)
    found = contents_of(pack(folder, secrets_here(folder, ["Initech"])).data, home)
    assert len(found) == len(plain)
    for name, content in found.items():
        said = (name + "\n" + content.decode("utf-8", "replace")).lower()
        for text in (*texts, FOREIGN, USER.partition(".")[0], "l\\u00f6f", "l%c3%b6f"):
            # A host may be called `vm`, which is a part of other words.
            assert not re.search(rf"(?<!\w){re.escape(text.lower())}(?!\w)", said), (name, text)
            assert len(text) < 5 or text.lower() not in said, (name, text)
    for stand_in in (MAC, IPV4, IPV6, "/home/user", "hidden"):
        assert any(stand_in.encode() in content for content in found.values())
    (before,) = read_report(folder).cases
    (after,) = read_report(home / "bundle.tar.zst").cases
    assert (after.trials, after.lost, after.ended) == (before.trials, before.lost, before.ended)
    assert after.name != before.name  # it has a digest of arguments that have a user's name


def contents_of(data: bytes, folder: Path) -> dict[str, bytes]:
    path = folder / "bundle.tar.zst"
    path.write_bytes(data)
    return contents(path)


async def test_a_user_may_be_called_like_a_word_of_the_journal(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    await campaign(folder, only_ordinary(lost))
    secrets = Secrets()
    for name in ("cell", "trial", "host", "lost", "kvm", "record", "evidence", "one-shot", "tick"):
        secrets.hide(name, "user")
    path = tmp_path / "b"
    path.write_bytes(pack(folder, secrets).data)
    assert read_report(path).verdict is read_report(folder).verdict


def test_numbers_that_are_no_addresses_stay() -> None:
    secrets = Secrets()
    for text in (
        "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", "2026-11-27T08:41:08.123Z", "127.0.0.1", "::1",
        "0x1.2.3", "999.1.1.1", "std::string", "a" * 64, "6.1.0-48-amd64", "10:20:30",
        "XMM00=0123456789abcdef0123456789abcdef XMM01=" + "1" * 32, "8 bytes: 01 02 03 04 05 06",
        IPV4, IPV6, MAC,
    ):  # fmt: skip
        assert secrets.scrubbed(text) == text
    for text, stand_in in (
        ("at 10.0.0.7:5900,", f"at {IPV4}:5900,"), ("[fe80::1]", f"[{IPV6}]"),
        ("mac=52:54:00:12:34:56,", f"mac={MAC},"), ("::ffff:10.0.0.7", IPV6),
        ("x01234567-89ab-cdef-0123-456789abcdefx", "x00000000-0000-0000-0000-000000000001x"),
    ):  # fmt: skip
        assert secrets.scrubbed(text) == stand_in


def test_ids_stay_different_and_stand_ins_stay() -> None:
    secrets = Secrets()
    one, other = (
        f"{digit * 8}-{digit * 4}-4{digit * 3}-a{digit * 3}-{digit * 12}" for digit in "12"
    )
    first = secrets.scrubbed(one)
    assert first != secrets.scrubbed(other)
    assert secrets.scrubbed(one.upper()) == first
    assert secrets.scrubbed(one.replace("-", "")) == first.replace("-", "")
    assert secrets.scrubbed(first) == first
    assert Secrets().scrubbed(first) == first


@pytest.mark.parametrize(
    "spelled",
    [
        "O'Neil & S\u00f6hne", "O&#x27;Neil &amp; S\u00f6hne", "O&#39;Neil &amp; S\u00f6hne",
        "O'Neil &amp; S\u00f6hne", "O'Neil & S\\u00f6hne", "O%27Neil%20%26%20S%C3%B6hne",
        "o'neil & s\u00f6hne",
    ],
)  # fmt: skip
def test_a_name_is_found_in_the_spellings_of_json_html_and_urls(spelled: str) -> None:
    secrets = Secrets()
    secrets.hide("O'Neil & S\u00f6hne", "hidden")
    assert secrets.scrubbed(f"x {spelled} y") == "x hidden y"


def test_a_short_name_is_no_part_of_other_words() -> None:
    secrets = Secrets()
    secrets.hide("al", "user")
    assert (
        secrets.scrubbed("al stalled in /x/al/y, AL@host") == "user stalled in /x/user/y, user@host"
    )


def test_the_names_of_the_systems_own_users_tell_nothing(tmp_path: Path) -> None:
    if os.getuid() == 0 and getpass.getuser() == "root":
        assert "root" not in secrets_here(tmp_path).words


@pytest.mark.parametrize("name", ["kvm", "intel", "apicv", "vm"])
async def test_what_is_hidden_changes_no_fact_that_a_verdict_needs(
    name: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    await campaign(folder, only_ordinary(lost))
    (evidence, *_) = folder.glob("evidence/*/evidence.json")
    data = json.loads(evidence.read_bytes())
    message = {"execute": "query-vm-generation-id", "arguments": {"kvm-vm": f"{name}'s disk"}}
    data["evidence"]["qmp_log"] = [{"message": message}]
    evidence.write_text(json.dumps(data))
    secrets = Secrets()
    secrets.hide(name, "hidden")
    path = tmp_path / "b"
    path.write_bytes(pack(folder, secrets).data)
    before, after = read_report(folder), read_report(path)
    assert after.facts == before.facts
    assert after.cases[0].exposure == before.cases[0].exposure
    packed = json.loads(contents(path)[str(evidence.relative_to(folder))])
    (entry,) = packed["evidence"]["qmp_log"]
    assert entry["message"]["execute"] == "query-vm-generation-id"
    assert entry["message"]["arguments"] == {"kvm-vm": "hidden's disk"}


async def test_a_bundle_whose_result_would_be_another_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    await campaign(folder, only_ordinary(lost))
    monkeypatch.setattr("orchestrator.results.bundling.scrub._TECHNICAL", frozenset())
    secrets = Secrets()
    secrets.hide("apicv", "hidden")
    with pytest.raises(NotAnonymousError, match="the result would be another one"):
        pack(folder, secrets)


async def test_a_version_of_four_numbers_is_no_address(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    qemu = replace(FACTS.need_qemu(), version="8.2.90.1")
    facts = replace(FACTS, kernel="5.4.0.1042-acme", qemu=qemu)
    await campaign(folder, only_ordinary(lost), facts=facts)
    (folder / "console" / "x.log").write_text("QEMU 8.2.90.1 at 8.2.90.2\n")
    path = tmp_path / "b"
    path.write_bytes(pack(folder, Secrets()).data)
    assert read_report(path).facts == facts
    assert contents(path)["console/x.log"] == f"QEMU 8.2.90.1 at {IPV4}\n".encode()


async def test_a_folder_may_have_a_name_that_is_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"n\xe4chtlich")
    folder.mkdir()
    await campaign(folder, only_ordinary(lost))
    for secrets in (None, secrets_here(folder)):
        files = contents_of(pack(folder, secrets).data, tmp_path)
        assert secrets is None or not [name for name in files if b"chtlich" in files[name]]


def test_the_domain_of_this_computer_is_hidden(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n10.1.2.3 Build02.corp.acme.com b2 # x\n")
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.1\nsearch lab.acme.com acme.test\n")
    names = host_names(tmp_path, "build02")
    assert names == {"build02", "Build02.corp.acme.com", "Build02", "b2"}
    secrets = Secrets()
    for name in names:
        secrets.hide(name, HOST)
    for name in domains(names, tmp_path):
        secrets.hide(name, DOMAIN)
    assert secrets.scrubbed("alice@build02.corp.acme.com, b2; search corp.acme.com ACME.test") == (
        f"alice@{HOST}, {HOST}; search {DOMAIN} {DOMAIN}"
    )
    assert secrets.scrubbed("build03.lab.acme.com") == f"build03.{DOMAIN}"
    assert domains(["build02"], tmp_path / "missing") == set()


async def test_a_domain_that_only_a_log_names_is_hidden(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    await campaign(folder, only_ordinary(lost))
    said = "search corp.acme.org; alice@build02.corp.acme.org, build02.tar.zst"
    (folder / "console" / "x.log").write_text(said)
    secrets = Secrets()
    secrets.hide("build02", HOST)
    found = contents_of(pack(folder, secrets).data, tmp_path)["console/x.log"].decode()
    assert found == f"search {DOMAIN}; alice@{HOST}.{DOMAIN}, {HOST}.tar.zst"
