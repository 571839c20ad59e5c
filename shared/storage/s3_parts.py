"""What a file holds: how much, of which hash, cut into parts to send, each with its checksum."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART_BYTES = 8 * 1024**2  # bytes of one request, and of memory while it is made
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What a file holds, as an object's own facts tell it."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> ContentFacts:
        """Read a file through, giving way to others now and then."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(1024**2):
                digest.update(chunk)
                size += len(chunk)
                time.sleep(0)  # in the API: other requests go on
        return cls(size, digest.hexdigest())

    @classmethod
    def told(cls, head: dict[str, Any]) -> ContentFacts:
        """Take it from the facts that S3 tells of an object."""
        return cls(int(head["ContentLength"]), head.get("Metadata", {}).get("sha256", ""))


def iterate_parts(source: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Give the parts of a file with their numbers, as many as S3 takes."""
    length = max(PART_BYTES, -(-size // MAX_PARTS))
    with source.open("rb") as file:
        number = 0
        while body := file.read(length):
            number += 1
            yield number, body


def checksum(body: bytes) -> str:
    """Return the SHA-256 as S3 wants it."""
    return b64encode(hashlib.sha256(body).digest()).decode()
