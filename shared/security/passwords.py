"""Passwords: what one must be, and Argon2id. It keeps nothing, and takes the time of a hash also where there is none."""

from __future__ import annotations

import secrets
import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 12, 256  # characters
# OWASP's choice for Argon2id with one round more: 19 MiB keep a dozen at once within a small container.
MEMORY_KIB, ROUNDS, LANES = 19 * 1024, 3, 1
# Of no password at all, by the same parameters: who does not exist must not be told by being refused sooner.
DUMMY_HASH = (
    "$argon2id$v=19$m=19456,t=3,p=1$c2NlbmVtaWxsLW5vYm9keQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)
# Without letters and digits that are taken for each other when somebody reads them out.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


@lru_cache(maxsize=1)
def _hasher() -> PasswordHasher:
    return PasswordHasher(time_cost=ROUNDS, memory_cost=MEMORY_KIB, parallelism=LANES)


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    return _hasher().hash(_normalize(password))


def verify_password(kept: str | None, password: str) -> bool:
    """Tell whether this is the password that `kept` was made of; None is nobody's, and takes as long."""
    try:
        _hasher().verify(kept or DUMMY_HASH, _normalize(password))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


def make_one_time_password() -> str:
    """Return a password that a person can type once: 98 random bits in groups of five."""
    letters = [secrets.choice(_ALPHABET) for _ in range(20)]
    return "-".join("".join(letters[at : at + 5]) for at in range(0, 20, 5))


def _normalize(password: str) -> bytes:
    # The same letters come composed from one keyboard and decomposed from another.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
