"""Assets, templates, voices, themes, usage and keys, as the command shows them."""

from __future__ import annotations

import json

from tests.unit.client.cli.answers import ASSET, ASSET_ID, KEY, TEMPLATE, USAGE, VIDEO, answer, page, problem


def test_assets_are_listed_shown_and_deleted(run, server):
    server.answers = [page(ASSET), answer(200, ASSET), (204, {}, b"")]

    listed = run("assets", "list")
    shown = run("assets", "show", f"asset:{ASSET_ID}")
    deleted = run("assets", "delete", ASSET_ID, "--yes")

    assert listed.out.splitlines()[1].split() == [ASSET_ID, "image", "5", "B", "640x360"]
    assert f"In scripts  asset:{ASSET_ID}" in shown.out
    assert deleted.out == f"{ASSET_ID}: deleted\n"
    assert server.requests[1]["path"] == server.requests[2]["path"] == f"/v1/assets/{ASSET_ID}"


def test_an_asset_is_downloaded_and_replaces_nothing(run, server, home):
    server.answers = [answer(200, ASSET), (200, {}, VIDEO), answer(200, ASSET)]

    named = run("assets", "download", ASSET_ID)
    again = run("assets", "download", ASSET_ID)

    assert named.out == f"{ASSET_ID}.png\n"
    assert (home / f"{ASSET_ID}.png").read_bytes() == VIDEO
    assert again.code == 2
    assert "Add --force" in again.err


def test_templates_are_listed_and_shown(run, server):
    server.answers = [page(TEMPLATE), answer(200, TEMPLATE), answer(200, TEMPLATE)]

    listed = run("templates", "list")
    shown = run("templates", "show", "greeting", "--version", "2")
    document = run("templates", "show", "greeting", "--script")

    assert "greeting        2  Says hello." in listed.out
    assert "logo   asset   optional" in shown.out
    assert server.requests[1]["path"] == "/v1/templates/greeting?version=2"
    assert json.loads(document.out) == {
        name: TEMPLATE[name] for name in ("title", "description", "fields", "script")
    }


def test_a_template_is_stored_and_deleted(run, server, home):
    (home / "greeting.json").write_text(json.dumps({"script": TEMPLATE["script"]}))
    server.answers = [
        answer(200, TEMPLATE),
        (204, {}, b""),
        problem(422, ("#/fields/x/typ", "Unknown field.")),
    ]

    stored = run("templates", "put", "greeting", "greeting.json")
    deleted = run("templates", "delete", "greeting", "--yes")
    refused = run("templates", "put", "greeting", "greeting.json")

    assert stored.out == "greeting: version 2\n"
    assert deleted.out == "greeting: deleted\n"
    assert refused.code == 3
    assert "#/fields/x/typ: Unknown field." in refused.err


def test_voices_and_themes_are_listed(run, server):
    voice = {"name": "en-us", "language": "en-US", "title": "American English"}
    server.answers = [page(voice), page(), page({"name": "neon"}), page({"name": "neon"})]

    assert "en-us  en-US     American English" in run("voices", "--language", "en").out
    assert run("voices", "--language", "tlh").err == "There are no such voices.\n"
    assert run("themes").out == "neon\n"
    assert run("themes", "--json").lines == [{"name": "neon"}]
    assert server.requests[0]["path"] == "/v1/voices?language=en"


def test_usage_is_shown_by_month(run, server):
    server.answers = [answer(200, USAGE), answer(200, USAGE)]

    shown, as_json = run("usage", "--months", "1"), run("usage", "--json")

    assert "speech characters  12,000   1.5" in shown.out
    assert "10, 8.5 left this month" in shown.out
    assert as_json.lines == [USAGE]


def test_keys_are_created_listed_and_revoked(run, server):
    made = KEY | {"key": "sm_live_4f1c2a_secret_sum"}
    server.answers = [
        answer(201, made),
        page(KEY, KEY | {"revoked_at": "2026-02-01T00:00:00Z"}),
        (204, {}, b""),
    ]

    created = run("keys", "create", "website", "--scope", "jobs:read")
    listed = run("keys", "list")
    revoked = run("keys", "revoke", "4f1c2a", "--yes", "--json")

    assert created.out == "sm_live_4f1c2a_secret_sum\n"
    assert [line.split()[-1] for line in listed.out.splitlines()[1:]] == ["ago", "revoked"]
    assert revoked.lines == [{"id": "4f1c2a", "revoked": True}]
    assert json.loads(server.requests[0]["body"]) == {"name": "website", "scopes": ["jobs:read"]}
