"""Which addresses a client may make us connect to: those of the public internet, and no others.

A name is public where every address that it resolves to is; `tasks.providers.guarded_http` connects to the very address
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
# All that is handed out in IPv6. The standard library's registry knows some of what lies outside of it, not all.
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Public by their ranges, and answered inside all the same: clouds' own services, the IETF's protocols, documents.
SPECIAL_NETWORKS = tuple(map(ipaddress.ip_network, ("168.63.129.16/32", "192.0.0.0/24", "3fff::/20")))
# Names that the public DNS does not have, and networks of their own do (RFC 6761, 6762, 8375; ICANN keeps `internal` free).
PRIVATE_DOMAINS = {
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "home.arpa", "lan", "invalid",
}  # fmt: skip


def is_public(text: str) -> bool:
    """Tell whether an address belongs to the public internet, also the one that hides in an IPv6 address."""
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
    """Tell by its name alone whether a host can be one of the public internet, where it cannot be asked for."""
    labels = host.lower().rstrip(".").split(".")
    return (
        len(labels) > 1
        and labels[-1][:1].isalpha()
        and PRIVATE_DOMAINS.isdisjoint((labels[-1], ".".join(labels[-2:])))
    )


def _embedded_ipv4(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that traffic to this one ends at, if there is one."""
    if any(address in network for network in (NAT64, IPV4_COMPATIBLE, IPV4_TRANSLATED)):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)


def check_url(url: str, *, allow_private: bool = False) -> None:
    """Raise AssetUnreadable where a URL leads, by what its host resolves to now, to where we do not connect.

    A host that cannot be found now may be found when somebody connects, which looks at its addresses then.
    """
    host = urlsplit(url).hostname or ""
    try:
        answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if isinstance(error, OSError) and (allow_private or may_be_public(host)):
            return
        raise AssetUnreadable("The host cannot be found.") from error
    if not allow_private and not all(is_public(str(answer[4][0])) for answer in answers):
        raise AssetUnreadable("The address is not on the public internet.")
