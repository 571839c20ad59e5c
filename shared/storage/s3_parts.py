"""The content of a file for an upload to S3: its size, hash and parts, each with a checksum."""

from __future__ import annotations

import hashlib
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PART_BYTES = 8 * 1024**2  # of one request, and of memory during it
MAX_PARTS = 10_000


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """The size and hash of a file or object."""

    bytes: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> ContentFacts:
        """Read a file and return its facts."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            while chunk := file.read(1024**2):
                digest.update(chunk)
                size += len(chunk)
                time.sleep(0)  # in the API, this lets other greenlets run
        return cls(size, digest.hexdigest())

    @classmethod
    def from_head(cls, head: dict[str, Any]) -> ContentFacts:
        """Return the facts in an object's metadata."""
        return cls(int(head["ContentLength"]), head.get("Metadata", {}).get("sha256", ""))


def iterate_parts(source: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a file with their numbers, at most as many as S3 accepts."""
    # S3 accepts at most MAX_PARTS parts, so those of a very large file must be larger.
    length = max(PART_BYTES, -(-size // MAX_PARTS))
    with source.open("rb") as file:
        number = 0
        while body := file.read(length):
            number += 1
            yield number, body


def checksum(body: bytes) -> str:
    """Return the SHA-256 in S3's encoding."""
    return b64encode(hashlib.sha256(body).digest()).decode()
