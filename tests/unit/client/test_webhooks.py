"""Webhook messages are verified as Standard Webhooks say: against the library that the scheme's authors publish."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from scenemill import WebhookInvalid, webhooks

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, no").decode()
OTHER = "whsec_" + base64.b64encode(b"another one of thirty-two bytes.").decode()
NOW = 1_800_000_000
BODY = json.dumps({"type": "task.succeeded", "data": {"task_id": "t1"}})


def message(*secrets, moment=NOW, message_id="msg_1", body=BODY):
    at = datetime.fromtimestamp(moment, UTC)
    signatures = [Webhook(secret).sign(message_id, at, body) for secret in secrets]
    return {
        "Webhook-Id": message_id,
        "webhook-timestamp": str(moment),
        "WEBHOOK-SIGNATURE": " ".join(signatures),
    }


@pytest.mark.parametrize("body", [BODY, BODY.encode()], ids=["text", "bytes"])
def test_a_message_of_ours_is_read(body):
    found = webhooks.verify(SECRET, message(SECRET), body, now=NOW + 10)

    assert found["data"] == {"task_id": "t1"}


@pytest.mark.parametrize(
    ("signing", "known"),
    [((OTHER, SECRET), SECRET), ((SECRET,), (OTHER, SECRET)), ((SECRET, OTHER), (OTHER,))],
    ids=["the sender rotates", "the receiver rotates", "both"],
)
def test_one_signature_that_fits_is_enough(signing, known):
    assert webhooks.verify(known, message(*signing), BODY, now=NOW)


def test_signatures_of_other_schemes_are_passed_over():
    headers = message(SECRET)
    headers["WEBHOOK-SIGNATURE"] = f"v1a,{'A' * 88} v2,x {headers['WEBHOOK-SIGNATURE']}"

    assert webhooks.verify(SECRET, headers, BODY, now=NOW)


@pytest.mark.parametrize(
    ("change", "body", "now", "reason"),
    [
        ({}, BODY + " ", NOW, "No signature"),
        ({"Webhook-Id": "msg_2"}, BODY, NOW, "No signature"),
        ({"webhook-timestamp": str(NOW + 1)}, BODY, NOW, "No signature"),
        ({"WEBHOOK-SIGNATURE": "v1,"}, BODY, NOW, "No signature"),
        ({"WEBHOOK-SIGNATURE": "v1,ünsinn"}, BODY, NOW, "No signature"),
        ({}, BODY, NOW + 301, r"301 s old; at most 300 s"),
        ({}, BODY, NOW - 301, r"301 s in the future"),
        ({"webhook-timestamp": "-5"}, BODY, NOW, "no number of seconds"),
        ({"webhook-timestamp": "1_800_000_000"}, BODY, NOW, "no number of seconds"),
    ],
)
def test_a_message_that_is_not_ours_is_refused(change, body, now, reason):
    with pytest.raises(WebhookInvalid, match=reason):
        webhooks.verify(SECRET, {**message(SECRET), **change}, body, now=now)


def test_a_message_by_another_secret_is_refused():
    with pytest.raises(WebhookInvalid, match="No signature"):
        webhooks.verify(SECRET, message(OTHER), BODY, now=NOW)


@pytest.mark.parametrize("header", ["Webhook-Id", "webhook-timestamp", "WEBHOOK-SIGNATURE"])
def test_a_header_that_is_missing_is_named(header):
    headers = message(SECRET)
    del headers[header]

    with pytest.raises(WebhookInvalid, match=f"The header {header.lower()} is missing"):
        webhooks.verify(SECRET, headers, BODY, now=NOW)


@pytest.mark.parametrize(("body", "reason"), [("[]", "no JSON object"), ("{", "no JSON")])
def test_what_is_signed_must_be_an_object(body, reason):
    with pytest.raises(WebhookInvalid, match=reason):
        webhooks.verify(SECRET, message(SECRET, body=body), body, now=NOW)


def test_a_secret_that_is_none_is_the_caller_s_mistake():
    with pytest.raises(ValueError, match="whsec_ and base64"):
        webhooks.verify("whsec_not base64", message(SECRET), BODY, now=NOW)


def test_a_receiver_can_sign_messages_for_its_tests():
    signature = webhooks.sign(SECRET, "msg_1", NOW, BODY)

    assert signature == message(SECRET)["WEBHOOK-SIGNATURE"]
