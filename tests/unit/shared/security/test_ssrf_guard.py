"""What the name of a host says by itself."""

from __future__ import annotations

import pytest

from shared.security.ssrf_guard import may_be_public


@pytest.mark.parametrize("host", ["example.com", "Hooks.Example.COM.", "a.b.co.uk", "xn--bcher-kva.de"])
def test_a_name_may_be_public(host: str) -> None:
    assert may_be_public(host)


@pytest.mark.parametrize(
    "host",
    [
        "", "localhost", "db", "LOCALHOST.", "api.localhost", "printer.local", "metadata.google.internal", "router.home.arpa",
        "nobody.invalid", "2130706433", "0x7f.1", "127.0.0.1", "::1", "fe80::1%eth0",
    ],
)  # fmt: skip
def test_a_name_of_a_network_of_its_own_is_not(host: str) -> None:
    assert not may_be_public(host)
