"""Determines the visitor's address. Only trusted proxies may forward addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from tetralto_visits.cache import BoundedCache

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PEER_KEYS = ("REMOTE_ADDR", "HTTP_X_REAL_IP", "HTTP_X_FORWARDED_FOR")
"""The keys of ``META`` that determine the sender of a request."""

RAILWAY = "railway"
UNIX = "unix"

# Railway's edge connects from shared address space (RFC 6598), or over the private network, which
# uses unique local addresses (RFC 4193).
_RAILWAY_NETWORKS = (ip_network("100.64.0.0/10"), ip_network("fd00::/8"))


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The peers whose forwarding headers are trusted."""

    networks: tuple[Network, ...] = ()
    unix_socket: bool = False
    """Whether a peer without an address (a Unix socket) is a trusted proxy."""
    real_ip_first: bool = False
    """Whether ``X-Real-IP`` takes precedence over ``X-Forwarded-For``. On Railway it does, because
    the edge always sets it. Another proxy may pass on a forged ``X-Real-IP`` of the client."""

    @classmethod
    def parse(cls, entries: Iterable[str]) -> TrustedProxies:
        """Parse networks, ``"railway"`` and ``"unix"``. ``ValueError`` names an invalid entry."""
        names = [entry.strip() for entry in entries]
        networks: list[Network] = []
        for name in names:
            if name == RAILWAY:
                networks.extend(_RAILWAY_NETWORKS)
            elif name != UNIX:
                networks.append(_network(name))
        return cls(tuple(networks), UNIX in names, RAILWAY in names)

    def trusts(self, address: Address | None) -> bool:
        """Whether a peer is a trusted proxy. ``None`` is a peer without an address."""
        if address is None:
            return self.unix_socket
        return any(address in network for network in self.networks)


class Peer(NamedTuple):
    """The sender of a request."""

    address: str
    """Address of the visitor."""
    is_proxy: bool
    """Whether the request came through a trusted proxy."""


class Peers:
    """Determines the sender of requests, with a cache."""

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies
        self._found: BoundedCache[Peer] = BoundedCache()

    def of(self, meta: Mapping[str, Any]) -> Peer:
        """Read ``request.META``. Raises ``ValueError`` if there is no trustworthy address."""
        return self.find(tuple(map(meta.get, PEER_KEYS)))

    def find(self, named: tuple[str | None, ...]) -> Peer:
        """Like ``of``, with the values of ``PEER_KEYS``."""
        return self._found.get(named) or self._found.store(named, self._look(*named))

    def _look(self, peer: str | None, real_ip: str | None, forwarded_for: str | None) -> Peer:
        peer = peer or ""
        found = visitor_address(peer, real_ip or "", forwarded_for or "", self._proxies)
        if found is None:
            raise ValueError("no address; is the proxy missing in TETRALTO_TRUSTED_PROXIES?")
        return Peer(str(found), self._proxies.trusts(parse_address(peer)))


def visitor_address(
    peer: str, real_ip: str, forwarded_for: str, proxies: TrustedProxies
) -> Address | None:
    """Determine the visitor's address; ``None`` if there is no trustworthy one.

    ``peer`` is ``REMOTE_ADDR``. The others are header values, empty if absent. They are used
    only if the peer is a trusted proxy. In ``X-Forwarded-For``, the rightmost
    address that is not a trusted proxy counts: the client may have written everything to its left.
    """
    direct = parse_address(peer)
    if not proxies.trusts(direct):
        return direct
    stated = parse_address(real_ip)
    forwarded = _rightmost_untrusted(forwarded_for, proxies)
    if proxies.real_ip_first:
        return stated or forwarded or direct
    # A proxy that sets X-Forwarded-For may pass on an X-Real-IP of the client.
    return (forwarded if forwarded_for else stated) or direct


def parse_address(text: str) -> Address | None:
    """Parse an address with optional brackets, port or zone. Unwraps IPv4-mapped IPv6 addresses."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _rightmost_untrusted(forwarded_for: str, proxies: TrustedProxies) -> Address | None:
    """Return the rightmost untrusted address, or the leftmost one if all are trusted."""
    nearest: Address | None = None
    for hop in reversed(forwarded_for.split(",")):
        address = parse_address(hop)
        if address is None:
            break
        nearest = address
        if not proxies.trusts(address):
            break
    return nearest


def _network(text: str) -> Network:
    network = ip_network(text)
    if network.prefixlen == 0:
        raise ValueError(f"{text!r} would trust every peer")
    return network
