"""Which URLs and which addresses the server calls."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import requests
from django.conf import settings

from ami.base.outgoing.errors import AddressRefused, NotConnected

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_PORTS = {"http": 80, "https": 443}
_NEVER_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"[0-9a-z._:-]{1,253}")
_SHOWN = 100
_GLOBAL_IPV6 = IPv6Network("2000::/3")
# What `ipaddress` takes for public in one Python version or another, or what only wraps an IPv4 address.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocol assignments, Teredo among them
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)


@dataclass(frozen=True)
class Target:
    """A URL that is sound, taken apart."""

    url: str
    scheme: str
    netloc: str
    """Host and port as they were written: the `Host` header."""
    host: str
    port: int


def target_of(url: str) -> Target:
    """The URL, taken apart the way it will be requested. Looks nothing up.

    Raises AddressRefused for what is not plain http or https, and for a name and password in the URL.
    """
    if not isinstance(url, str) or _NEVER_IN_A_URL.search(url):
        raise AddressRefused("A URL has no spaces, backslashes or control characters in it.")
    shown = repr(url[:_SHOWN])
    try:
        if urlsplit(url).scheme not in _PORTS:
            raise AddressRefused(f"{shown} is not an http or https address.")
        prepared = requests.Request("GET", url).prepare().url or ""
        parts = urlsplit(prepared)
        host, port = parts.hostname or "", parts.port
    except (requests.RequestException, ValueError) as error:
        raise AddressRefused(f"{shown} is not an address that can be called.") from error
    if "@" in urlsplit(url).netloc or "@" in parts.netloc:
        raise AddressRefused("Leave the user name and password out of the URL; others would see them.")
    if not _HOST.fullmatch(host):
        raise AddressRefused(f"{shown} does not name a host that can be called.")
    return Target(prepared, parts.scheme, parts.netloc, host, _PORTS[parts.scheme] if port is None else port)


def check_url(url: str) -> None:
    """Raise AddressRefused for a URL that can never be called. Looks nothing up, so a name may still fail.

    An address in numbers is judged here already, in every spelling that the resolver takes for one.
    """
    target = target_of(url)
    try:
        numeric = _look_up(target, socket.AI_NUMERICHOST)
    except NotConnected:
        return  # it is a name
    _permitted(target, numeric)


def permitted_addresses(target: Target) -> list[Address]:
    """The addresses of the target that may be called, in the order of the resolver, after one look-up.

    Raises AddressRefused if there are only others, NotConnected if there are none at all.
    """
    return _permitted(target, _look_up(target))


def _look_up(target: Target, flags: int = 0) -> list[Address]:
    try:
        found = socket.getaddrinfo(
            target.host, target.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=flags
        )
    except OSError as error:
        raise NotConnected(f"Nobody knows where {target.host} is; is the name right?") from error
    except (UnicodeError, OverflowError) as error:  # a label that is empty or too long; a port out of range
        raise AddressRefused(f"{target.netloc[:_SHOWN]} does not name a host that can be called.") from error
    return list(dict.fromkeys(_plain(ip_address(entry[4][0])) for entry in found))


def _permitted(target: Target, addresses: list[Address]) -> list[Address]:
    permitted = [address for address in addresses if is_permitted(address)]
    if not permitted:
        raise AddressRefused(
            f"This server does not call {target.host}: that is not a public address. "
            "An administrator can allow its network in OUTGOING_ALLOWED_NETWORKS."
        )
    return permitted


def _plain(address: Address) -> Address:
    """An IPv4 address in the clothes of IPv6 is one of IPv4."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def is_permitted(address: Address) -> bool:
    """Whether the server may call it: public, or inside an allowed network."""
    allowed = _networks(tuple(settings.OUTGOING_ALLOWED_NETWORKS))
    return is_public(address) or any(address in network for network in allowed)


def is_public(address: Address) -> bool:
    """Whether the whole internet would reach the same machine under this address."""
    if isinstance(address, IPv6Address) and address not in _GLOBAL_IPV6:
        return False
    special = not address.is_global or address.is_multicast or address.is_reserved
    return not special and not any(address in network for network in _NOT_PUBLIC)


@lru_cache(maxsize=16)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)
