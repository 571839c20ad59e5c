"""Local files in scripts."""

from __future__ import annotations

import pytest

from scenemill.cli import media
from scenemill.errors import MediaMissing

SCRIPT = {
    "music": {"src": "song.mp3"},
    "overlays": [{"type": "image", "src": "asset:1"}],
    "scenes": [
        {"narration": {"src": "voice.wav", "text": "Hello"}, "visual": {"type": "image", "src": "a.png"}},
        {
            "visual": {
                "type": "video",
                "src": "https://example.com/a.mp4",
                "fallback": {"type": "image", "src": "a.png"},
            }
        },
        {"visual": {"type": "image", "src": "{{picture}}"}, "text": [{"text": "src: b.png"}]},
    ],
}


def test_local_sources_are_found_wherever_they_stand_and_nothing_else_is():
    found = list(media.local_sources(SCRIPT))

    assert found == ["song.mp3", "voice.wav", "a.png", "a.png"]


def test_each_file_is_found_once_and_every_place_names_its_asset(tmp_path):
    for name in ("song.mp3", "voice.wav", "a.png"):
        (tmp_path / name).write_bytes(name.encode())

    found = media.files(SCRIPT, tmp_path)
    script = media.replaced(SCRIPT, {source: f"asset:id-{path.name}" for source, path in found.items()})

    assert sorted(found) == ["a.png", "song.mp3", "voice.wav"]
    assert script["scenes"][0]["visual"]["src"] == "asset:id-a.png"
    assert script["scenes"][1]["visual"]["fallback"]["src"] == "asset:id-a.png"
    assert script["scenes"][1]["visual"]["src"] == "https://example.com/a.mp4"
    assert SCRIPT["music"] == {"src": "song.mp3"}


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("../secret.txt", id="above the folder"),
        pytest.param("/etc/passwd", id="absolute"),
        pytest.param("link.png", id="a link out of the folder"),
    ],
)
def test_a_file_outside_the_folder_is_never_sent(tmp_path, source):
    folder = tmp_path / "scripts"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")

    with pytest.raises(MediaMissing, match="outside"):
        media.files({"src": source}, folder)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")

    with pytest.raises(MediaMissing, match=r"b\.png"):
        media.files([{"src": "a.png"}, {"src": "b.png"}], tmp_path)


def test_a_script_without_a_folder_names_no_file_of_this_machine():
    with pytest.raises(MediaMissing, match="--media"):
        media.files({"src": "a.png"}, None)


def test_what_a_script_from_the_web_names_lies_beside_it():
    script = media.absolute({"src": "a.png", "music": {"src": "asset:1"}}, "https://example.com/x/tale.json")

    assert script == {"src": "https://example.com/x/a.png", "music": {"src": "asset:1"}}
