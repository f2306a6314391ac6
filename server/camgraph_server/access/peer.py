"""Callers without a name of their own: told apart by where they call from."""

from __future__ import annotations

import ipaddress
from urllib.parse import unquote

_NETWORK_OF_ONE = 64  # bits of an IPv6 address; a single machine has all addresses that share them


def host_of(peer: str) -> str:
    """The machine behind a peer's address, such as `ipv4:10.0.0.7:51234` or `ipv6:[::1]:51234`.

    IPv6 addresses are cut to their network, as one machine has many. What is no address stays as it is.
    """
    kind, _, rest = peer.partition(":")
    if kind not in {"ipv4", "ipv6"}:
        return kind or "unknown"
    text = unquote(rest).rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return peer
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _NETWORK_OF_ONE), strict=False))
