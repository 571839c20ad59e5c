"""Passwords: their rules and their Argon2id hashes. Verifying takes as long for a user that does not exist."""

from __future__ import annotations

import secrets
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 12, 256  # characters
# OWASP's parameters for Argon2id with one more round. At 19 MiB, a small container can verify a dozen at once.
MEMORY_KIB, ROUNDS, LANES = 19 * 1024, 3, 1
# The hash of no password, with the same parameters: without it, an unknown user would be refused sooner than a known
# one.
DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=3,p=1$c2NlbmVtaWxsLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
# Without letters and digits that are mistaken for each other when read aloud.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES)


def hash_password(password: str) -> str:
    """Return the hash to store for a password."""
    return _hasher().hash(_normalize(password))


def verify_password(stored_hash: str | None, password: str) -> bool:
    """Return whether this is the password of the stored hash. With None it returns False, after the same time."""
    try:
        _hasher().verify(stored_hash or DUMMY_HASH, _normalize(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored_hash is not None


def make_one_time_password() -> str:
    """Return a password that a person can type: 98 random bits in groups of five characters."""
    letters = [secrets.choice(_ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[at : at + 5]) for at in range(0, 20, 5))


def _normalize(password: str) -> bytes:
    # One keyboard composes a letter that another sends as two code points.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
