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


def test_each_file_is_uploaded_once_and_every_place_names_its_asset(tmp_path):
    for name in ("song.mp3", "voice.wav", "a.png"):
        (tmp_path / name).write_bytes(name.encode())
    sent = []

    def upload(path):
        sent.append(path.name)
        return f"id-{path.name}"

    script = media.upload_all(SCRIPT, tmp_path, upload)

    assert sorted(sent) == ["a.png", "song.mp3", "voice.wav"]
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
    sent = []

    with pytest.raises(MediaMissing, match="outside"):
        media.upload_all({"src": source}, folder, sent.append)

    assert sent == []


def test_a_missing_file_is_named_before_anything_is_sent(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    sent = []

    with pytest.raises(MediaMissing, match=r"b\.png"):
        media.upload_all([{"src": "a.png"}, {"src": "b.png"}], tmp_path, sent.append)

    assert sent == []
