"""Guards against server-side request forgery: only addresses of the public internet may be connected to.

A host is public if every address that it resolves to is. `tasks.providers.guarded_http` connects to the very address
that was checked.
"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from shared.errors import AssetUnreadable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NAT64 = ipaddress.ip_network("64:ff9b::/96")
LOCAL_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
IPV4_COMPATIBLE = ipaddress.ip_network("::/96")
IPV4_TRANSLATED = ipaddress.ip_network("::ffff:0:0:0/96")
# All of IPv6 that is allocated. The standard library's registry knows only some of the ranges outside of it.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Public by their range, but answered inside networks: cloud metadata services, IETF protocols, documentation.
SPECIAL_NETWORKS = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "3fff::/20")))
# Names outside the public DNS that private networks use (RFC 6761, 6762, 8375; ICANN reserves `internal`).
PRIVATE_DOMAINS = {
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "home.arpa", "lan", "invalid",
}  # fmt: skip


def is_public(text: str) -> bool:
    """Return whether an address is on the public internet, including an IPv4 address embedded in an IPv6 one."""
    # The zone of a link-local address (`%eth0`) is no part of the address.
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        hidden = _embedded_ipv4(address)
        if hidden is not None:
            return is_public(str(hidden))
        if address in LOCAL_NAT64 or address not in GLOBAL_UNICAST:
            return False
    if any(address in network for network in SPECIAL_NETWORKS):
        return False
    return address.is_global and not address.is_multicast


def may_be_public(host: str) -> bool:
    """Return whether a host may be public, judged by its name alone, where it cannot be resolved."""
    labels = host.lower().rstrip(".").split(".")
    return (
        len(labels) > 1
        and labels[-1][:1].isalpha()
        and PRIVATE_DOMAINS.isdisjoint((labels[-1], ".".join(labels[-2:])))
    )


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that traffic to this IPv6 address reaches, if there is one."""
    if any(address in network for network in (NAT64, IPV4_COMPATIBLE, IPV4_TRANSLATED)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Raise AssetUnreadable if a URL's host resolves to an address that is not allowed.

    A host that does not resolve now passes: its addresses are checked again when somebody connects.
    """
    host = urlsplit(url).hostname or ""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and (allow_private or may_be_public(host)):
            return
        raise AssetUnreadable("The host does not resolve.") from error
    # All addresses count: with only the first, a name with one public and one private address would pass.
    if not allow_private and not all(is_public(str(answer[4][0])) for answer in answers):
        raise AssetUnreadable("The host resolves to a private address.")
