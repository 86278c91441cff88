"""Addresses of computers in a text, and those that stand for them in an anonymous bundle."""

import ipaddress
import re
from collections.abc import Container

#: The stand-ins are the addresses that are reserved for documents.
IPV4, IPV6, MAC = "192.0.2.1", "2001:db8::1", "00:00:5e:00:53:01"

_GROUP = "[0-9a-f]{1,4}"
_FOUR = r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}"

#: Octets as `ip link` writes them, more of them in logs of netfilter and in ids of DHCP clients.
_OCTETS = re.compile(
    r"(?<![0-9a-z])[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4,}(?![0-9a-z])", re.IGNORECASE
)

#: Names that udev gives to network devices; see systemd.net-naming-scheme(7).
_DEVICE = re.compile(r"(?<![0-9a-z])((?:en|ib|sl|wl|ww)x)[0-9a-f]{12}(?![0-9a-f])", re.IGNORECASE)

#: MAC addresses as switches write them.
_DOTTED = re.compile(
    r"(?<![0-9a-z.])[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?![0-9a-z]|\.[0-9a-z])", re.IGNORECASE
)

_IPV4 = re.compile(rf"(?<![0-9.]){_FOUR}(?![0-9]|\.[0-9])")

#: Host names that clouds make of addresses.
_DASHED = re.compile(r"(?<![0-9a-z])ip-(?:[0-9]{1,3}-){3}[0-9]{1,3}(?![0-9])", re.IGNORECASE)

#: A colon may precede an address, and follow it.
_IPV6 = re.compile(
    rf"(?<![0-9a-z])(?:(?:{_GROUP}:){{7}}{_GROUP}|(?:{_GROUP}:){{6}}{_FOUR}"
    rf"|(?:{_GROUP}(?::{_GROUP}){{0,6}})?::"
    rf"(?:(?:{_GROUP}:){{0,5}}{_FOUR}|{_GROUP}(?::{_GROUP}){{0,6}})?)(?![0-9a-z])",
    re.IGNORECASE,
)

_ALL = (_OCTETS, _DEVICE, _DOTTED, _DASHED, _IPV6, _IPV4)


def without_addresses(text: str, versions: Container[str] = ()) -> str:
    """Return a text with a stand-in for each MAC, IPv4 and IPv6 address.

    Args:
        text: the text.
        versions: numbers of versions, which may look like IPv4 addresses.
    """

    def stand_in(found: re.Match[str], word: str) -> str:
        kept = found[0] in versions or not _is_address(found[0])
        return found[0] if kept else word

    text = _OCTETS.sub(MAC, text)
    text = _DEVICE.sub(lambda found: found[1] + MAC.replace(":", ""), text)
    text = _DOTTED.sub("0000.5e00.5301", text)
    text = _DASHED.sub(f"ip-{IPV4.replace('.', '-')}", text)
    text = _IPV6.sub(lambda found: stand_in(found, IPV6), text)
    return _IPV4.sub(lambda found: stand_in(found, IPV4), text)


def has_address(text: str) -> bool:
    """Return whether a text may have an address in it."""
    return any(each.search(text) for each in _ALL)


def _is_address(text: str) -> bool:
    """Return whether a text is an address that names a computer."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified or str(found) in (IPV4, IPV6))
