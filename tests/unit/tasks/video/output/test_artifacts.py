"""What assembly writes around its ffmpeg runs: lists of segments and metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.video.ffmpeg_runner import title_arguments
from tasks.video.output import language_codes
from tasks.video.output.joining import to_ffconcat


def test_a_list_of_segments_names_each_file_whatever_is_in_its_name():
    text = to_ffconcat([Path("/a b/it's.mp4"), Path("/x/2.mp4")])

    assert text.splitlines() == ["ffconcat version 1.0", r"file '/a b/it'\''s.mp4'", "file '/x/2.mp4'"]


def test_a_title_is_one_plain_line():
    assert title_arguments("A\n\"reef\" = 'x';\0 🐠\ud800") == ("-metadata", "title=A \"reef\" = 'x'; 🐠")


def test_a_title_is_bounded_and_an_empty_one_is_left_out():
    assert len(title_arguments("x" * 999)[1]) == len("title=") + 200
    assert title_arguments(" \n") == ()


@pytest.mark.parametrize(
    ("tag", "language"), [("en", "eng"), ("pt-BR", "por"), ("zh-Hant", "zho"), ("yue", "yue"), ("xx", "und")]
)
def test_a_language_tag_becomes_its_iso_639_2_code(tag, language):
    assert language_codes.iso639_2(tag) == language
