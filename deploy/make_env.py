"""Prints .env.example with every empty secret filled in. Needs nothing but Python, on a Unix whose Python has `crypt`.

Run it in the image that the Dockerfile starts from; .env.example says how.
"""

# ruff: noqa: INP001 (a script beside the files that it fills, no package)
from __future__ import annotations

import secrets
import sys
import warnings
from pathlib import Path

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the image pins a Python that has it
    import crypt

EXAMPLE = Path(__file__).parents[1] / ".env.example"
HASH_SUFFIX = "_HASH"


def filled(example: str) -> str:
    """Return the file with a value for each name that had none. A hash is that of the password above it."""
    made: dict[str, str] = {}
    return "".join(_line(line, made) for line in example.splitlines(keepends=True))


def _line(line: str, made: dict[str, str]) -> str:
    name, equals, value = line.rstrip("\n").partition("=")
    if line.startswith("#") or not equals or value:
        return line
    if name.endswith(HASH_SUFFIX):
        password = made[name.removesuffix(HASH_SUFFIX)]
        salt = crypt.mksalt(crypt.METHOD_BLOWFISH)  # noqa: S324 (bcrypt is the hash that Prometheus takes)
        return f"{name}='{crypt.crypt(password, salt)}'\n"
    made[name] = secrets.token_hex(24)
    return f"{name}={made[name]}\n"


if __name__ == "__main__":
    sys.stdout.write(filled(EXAMPLE.read_text()))
