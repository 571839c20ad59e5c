"""The rules of passwords, their hashes, and the subjects of login throttling."""

from __future__ import annotations

import re

import pytest
from argon2 import extract_parameters
from marshmallow import ValidationError

from api.schemas.logins import NewPassword
from api.security import login_throttle
from shared.security import passwords


def test_a_password_is_hashed_by_argon2id_with_a_salt_of_its_own():
    one, other = passwords.hash_password("correct horse"), passwords.hash_password("correct horse")

    assert one.startswith("$argon2id$v=19$m=19456,t=3,p=1$")
    assert one != other
    assert passwords.verify_password(one, "correct horse")
    assert not passwords.verify_password(one, "correct horsE")


def test_verifying_an_unknown_user_takes_as_long():
    assert extract_parameters(passwords.DUMMY_HASH) == extract_parameters(passwords.hash_password("x"))
    assert not passwords.verify_password(None, "")
    assert not passwords.verify_password("no hash at all", "x")


def test_one_time_passwords_follow_the_password_rules():
    made = {passwords.make_one_time_password() for _ in range(50)}

    assert len(made) == 50
    assert all(re.fullmatch(r"([a-z2-9]{5}-){3}[a-z2-9]{5}", each) for each in made)
    assert all(NewPassword().check(each) for each in made)


@pytest.mark.parametrize(
    "text", ["", "short", "a" * 40, "ab" * 20, "x" * 300, "with\0nul in it", "two\nlines here"]
)
def test_invalid_passwords_are_refused(text):
    with pytest.raises(ValidationError):
        NewPassword().check(text)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param("192.0.2.1", "192.0.2.2", False, id="two of IPv4"),
        pytest.param("192.0.2.1", "::ffff:192.0.2.1", True, id="one of IPv4, mapped"),
        pytest.param("2001:db8::1", "2001:db8::ffff", True, id="one network of IPv6"),
        pytest.param("2001:db8::1", "2001:db8:0:1::1", False, id="two networks"),
        pytest.param("fe80::1%eth0", "fe80::2%eth1", True, id="with a zone"),
        pytest.param("unknown", "unknown", True, id="no address"),
    ],
)
def test_addresses_of_one_ipv6_network_share_a_throttle(one, other, same):
    assert (
        login_throttle.address_bucket(one).subject == login_throttle.address_bucket(other).subject
    ) is same


def test_throttle_subjects_of_different_kinds_differ():
    buckets = [
        login_throttle.pair_bucket("a", "b"),
        login_throttle.pair_bucket("ab", ""),
        login_throttle.name_bucket("a"),
        login_throttle.address_bucket("a"),
        login_throttle.logins_bucket("a"),
    ]

    assert len({each.subject for each in buckets}) == len(buckets)
    assert all(re.fullmatch("[0-9a-f]{64}", each.subject) for each in buckets)
