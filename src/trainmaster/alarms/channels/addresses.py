"""Where channels may lead: public addresses, and the private networks somebody has allowed.

A name is resolved once, every address it has is checked, and the connection goes to a checked one: a name
that answers differently the second time leads nowhere else.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence

from trainmaster.domain.errors import AddressForbidden, ChannelUnreachable, InvalidChannel

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# IPv6 networks whose addresses carry an IPv4 address that routers may deliver to (RFC 6052, RFC 8215).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48"))


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """`"10.0.0.0/8"`, `"127.0.0.1"`, `"fd00::/8"`. Raises ValueError naming the wrong one."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def permitted(address: Address, allowed: Sequence[Network]) -> bool:
    """Public, or in an allowed network. What an address carries inside must be permitted, too."""
    if any(address in network for network in allowed):
        return True
    if isinstance(address, ipaddress.IPv6Address):
        inner: list[ipaddress.IPv4Address] = []
        if address.ipv4_mapped is not None:
            return permitted(address.ipv4_mapped, allowed)
        if address.sixtofour is not None:
            inner.append(address.sixtofour)
        if address.teredo is not None:
            inner += address.teredo
        if any(address in network for network in _TRANSLATED):
            inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if not all(permitted(one, allowed) for one in inner):
            return False
        if inner and any(address in network for network in _TRANSLATED):
            return True
    return address.is_global and not address.is_multicast


def resolve(host: str, port: int, allowed: Sequence[Network]) -> list[str]:
    """Addresses to connect to, in the resolver's order. Blocks; call it in a thread.

    Raises ChannelUnreachable for a name without addresses, AddressForbidden if any of them is private and not
    allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ChannelUnreachable(f"{host} has no address: {error}", host=host) from None
    addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
    for text in addresses:
        if not permitted(ipaddress.ip_address(text.partition("%")[0]), allowed):
            raise AddressForbidden(f"{host} leads to {text}, a private address", host=host, address=text)
    return addresses


def port_of(text: str, field: str) -> int:
    """Raises InvalidChannel."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise InvalidChannel(f"{field}: {text!r} is not a port", remedy="give 1 to 65535", field=field)
    return int(text)
