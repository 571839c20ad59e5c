"""Which addresses and host names count as public."""

from __future__ import annotations

import pytest

from shared.security.ssrf_guard import is_public, may_be_public


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
def test_a_private_domain_is_not_public(host: str) -> None:
    assert not may_be_public(host)


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
    "224.0.0.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "ff02::1", "::ffff:10.0.0.1", "::127.0.0.1",
    "64:ff9b::a00:1", "64:ff9b:1::1", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    "fec0::1", "5f00::1", "3fff::1", "::ffff:0:a00:1", "::5efe:7f00:1", "192.0.0.192", "168.63.129.16",
])  # fmt: skip
def test_private_addresses_are_recognised_in_every_notation(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)
