"""Who may read the figures: whoever shows the token, or calls from a network that may."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address, ip_network

from django.conf import settings

SHORTEST_TOKEN = 16


def may_read(authorization: str, address: str, *, forwarded: bool) -> bool:
    """Whether this header, or this address, opens /metrics.

    `forwarded`: the request came through a proxy, so that the address is the proxy's and proves nothing.
    """
    if _shows_token(authorization) or (not forwarded and _is_near(address)):
        return True
    return bool(settings.DEBUG and not settings.METRICS_TOKEN and not settings.METRICS_NETWORKS)


def _shows_token(authorization: str) -> bool:
    kind, _, token = authorization.partition(" ")
    wanted = settings.METRICS_TOKEN
    shown = token.strip().encode("utf-8", "replace")
    return bool(wanted) and kind.lower() == "bearer" and compare_digest(shown, wanted.encode())


def _is_near(address: str) -> bool:
    try:
        caller = ip_address(address)
    except ValueError:  # a Unix socket has none
        return False
    mapped = getattr(caller, "ipv4_mapped", None)
    return any((mapped or caller) in ip_network(network) for network in settings.METRICS_NETWORKS)
