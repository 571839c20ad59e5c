"""Redis by URL: one server, or the current master of a Sentinel group. Importing it connects to nothing.

A group is `redis+sentinel://:PASSWORD@HOST:26379,HOST:26379/NAME/DATABASE`. `sentinel://` is the same, and kombu's own
form, `sentinel://:PASSWORD@HOST:26379;sentinel://HOST:26379/DATABASE?master_name=NAME`, works too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from redis import Redis
from redis.sentinel import Sentinel

if TYPE_CHECKING:
    from urllib.parse import SplitResult

SENTINEL_SCHEMES = ("sentinel://", "redis+sentinel://")
SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class SentinelGroup:
    """The addresses of a group's Sentinels, the group's name, and the credentials of its servers."""

    addresses: tuple[tuple[str, int], ...]
    name: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    def sentinel_options(self, **timeouts: Any) -> dict[str, Any]:
        """Return the options for connecting to the Sentinels themselves, which do not share the servers' password."""
        return {**timeouts, "username": None, "password": self.sentinel_password}

    def kombu_url(self) -> str:
        """Return kombu's URL, with each Sentinel written out in full: kombu reads a `;` as the start of the next URL."""
        login = ":".join(quote(part or "", safe="") for part in (self.username, self.password))
        opened = f"{login}@" if self.username or self.password else ""
        return ";".join(f"sentinel://{opened}{host}:{port}/{self.database}" for host, port in self.addresses)

    def limits_url(self) -> str:
        """Return the URL for the rate limiter's storage; passwords and database are passed beside it."""
        addresses = ",".join(f"{host}:{port}" for host, port in self.addresses)
        return f"redis+sentinel://{addresses}/{quote(self.name, safe='')}"


def parse_sentinel_url(url: str) -> SentinelGroup | None:
    """Return the group that a URL names, or None for another kind of URL; raise ValueError where it is malformed."""
    if not url.startswith(SENTINEL_SCHEMES):
        return None
    parts = [urlsplit(part) for part in url.split(";")]
    query = parse_qs(parts[-1].query)
    # Percent-encoded, since a password or name may contain "/" or "@".
    path = [unquote(step) for step in parts[-1].path.split("/") if step]
    if names := query.get("master_name"):
        path.insert(0, names[0])
    addresses = tuple(address for part in parts for address in _parse_addresses(part))
    if not path or not addresses or len(path) > 2:
        raise ValueError(
            "The URL of a Sentinel group must look like redis+sentinel://:PASSWORD@HOST:PORT,HOST:PORT/NAME/DATABASE."
        )
    return SentinelGroup(
        addresses,
        path[0],
        database=int(path[1]) if path[1:] else 0,
        username=unquote(parts[0].username or "") or None,
        password=unquote(parts[0].password or "") or None,
        sentinel_password=query.get("sentinel_password", [None])[0],
    )


def _parse_addresses(part: SplitResult) -> list[tuple[str, int]]:
    hosts = part.netloc.rpartition("@")[2].split(",")
    urls = [urlsplit(f"//{host}") for host in hosts]
    return [(url.hostname, url.port or SENTINEL_PORT) for url in urls if url.hostname]


def connect(url: str, **options: Any) -> Redis:
    """Return a client for the URL; `options` are redis-py's. Each new connection asks the Sentinels for the master."""
    group = parse_sentinel_url(url)
    if group is None:
        return Redis.from_url(url, **options)
    timeouts = {name: value for name, value in options.items() if name.startswith(("socket_", "retry"))}
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]
        list(group.addresses),
        sentinel_kwargs=group.sentinel_options(**timeouts),
        db=group.database,
        username=group.username,
        password=group.password,
        **options,
    )
    # Asked for at each new connection: after a failover the former master would refuse writes.
    master: Redis = sentinel.master_for(group.name)
    return master
