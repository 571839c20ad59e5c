"""Captions are what is said, when it is said, in lines that fit."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.script.timeline import plan_timeline
from shared.script.values import Narration, Scene, Script, Transition, Voice
from tasks.speech.engine import WordTime
from tasks.speech.word_alignment import align_words, split_words
from tasks.video.captions import cues as captions
from tasks.video.captions import subtitle_files
from tasks.video.captions.pieces import count_cells
from tests.work import calls

BEAT = 0.35  # seconds a word


def heard(text: str):
    """Speak a text at an even pace."""
    spans = split_words(text)
    events = [
        WordTime(begin, index * BEAT, (index + 1) * BEAT - 0.02) for index, (begin, _) in enumerate(spans)
    ]
    return align_words(text, events, len(spans) * BEAT)


def made(*texts: str, columns: int = captions.MAX_COLUMNS, transition: Transition | None = None):
    scenes = tuple(
        Scene(f"s{index}", Narration(text), transition=transition or Transition())
        for index, text in enumerate(texts)
    )
    script = Script(scenes=scenes)
    words = {scene.id: heard(scene.narration.text) for scene in scenes}
    timeline = plan_timeline(
        script, {key: Fraction(len(said)) * Fraction(BEAT) for key, said in words.items()}, 30
    )
    return captions.make_cues(timeline, script, words, columns=columns), timeline


def test_a_cue_begins_with_its_first_word_and_ends_with_its_sentence():
    (first, second), timeline = made("A reef begins. It grows.")

    start = float(timeline.scenes[0].narration_start)
    assert first.lines == ("A reef begins.",)
    assert first.start == pytest.approx(start)
    assert second.lines == ("It grows.",)
    assert second.start == pytest.approx(start + 3 * BEAT)
    assert [word.text for word in first.words] == ["A", "reef", "begins."]
    assert first.words[1].start == pytest.approx(start + BEAT)


def test_sentences_too_short_to_be_read_are_shown_with_the_next():
    cues, _ = made("Stop. Look. Then go on your way.")

    assert [cue.lines for cue in cues] == [("Stop. Look. Then go on your way.",)]


def test_a_long_sentence_is_cut_after_a_clause_and_its_lines_are_balanced():
    cues, _ = made(
        "It drifts for days, looking for light and for a rock that no one else has taken yet, and then it settles down."
    )

    assert len(cues) == 2
    assert cues[0].lines[-1].endswith(",")
    assert abs(len(cues[0].lines[0]) - len(cues[0].lines[1])) < 15


def test_each_word_has_the_number_of_its_line():
    (cue,), _ = made("These eight words are just too long for a single line.")

    assert len(cue.lines) == 2
    for number, line in enumerate(cue.lines):
        assert " ".join(word.text for word in cue.words if word.line == number) == line


def test_chinese_is_broken_between_characters_without_spaces():
    cues, _ = made("今天天气很好我们一起去公园散步吧因为春天来了花儿都开了", columns=20)

    assert (
        "".join("".join(cue.lines) for cue in cues)
        == "今天天气很好我们一起去公园散步吧因为春天来了花儿都开了"
    )
    assert all(count_cells(line) <= 20 for cue in cues for line in cue.lines)


def test_arabic_stays_in_logical_order_and_says_its_direction():
    (cue,), _ = made("مرحبا بالعالم")

    assert cue.lines == ("مرحبا بالعالم",)
    assert cue.rtl


def test_a_word_longer_than_a_line_is_folded_and_nothing_is_lost():
    url = "https://example.org/" + "a" * 100
    cues, _ = made(f"See {url} now.")

    assert "".join("".join(cue.lines).replace(" ", "") for cue in cues) == f"See{url}now."


def test_a_scene_without_words_has_no_cue():
    script = Script(scenes=(Scene("quiet"),))

    assert captions.make_cues(plan_timeline(script, {}, 30), script, {}) == ()


@pytest.mark.parametrize(("aspect", "columns"), [("16:9", 42), ("21:9", 42), ("1:1", 33), ("9:16", 22)])
def test_a_narrow_picture_has_short_lines(aspect, columns):
    assert captions.columns_for(aspect) == columns


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("ab ,.!?…\n-<>&{}\\你好ש🎉'"), min_size=1, max_size=120),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([16, 22, 42]),
    st.booleans(),
)
def test_any_text_makes_cues_that_fit_follow_each_other_and_lose_nothing(texts, columns, crossfaded):
    transition = Transition("crossfade", 0.5) if crossfaded else Transition()
    cues, timeline = made(*texts, columns=columns, transition=transition)

    assert all(1 <= len(cue.lines) <= 2 for cue in cues)
    assert all(count_cells(line) <= columns for cue in cues for line in cue.lines)
    assert all(0 <= cue.start < cue.end <= float(timeline.seconds) + 1e-9 for cue in cues)
    assert all(before.end <= after.start for before, after in pairwise(cues))
    assert "".join("".join("".join(cue.lines).split()) for cue in cues) == "".join("".join(texts).split())


def test_subrip_numbers_its_cues_and_turns_no_text_into_markup():
    cues, _ = made("a <b>bold</b> {\\an8} --> b & c")

    srt = subtitle_files.to_srt(cues)

    assert re.fullmatch(r"1\n00:00:00,200 --> 00:00:0\d,\d{3}\n(.+\n)+\n", srt)
    assert not re.search(r"<\w|</|\{\\|\w -->", srt.split("\n", 2)[2])
    assert srt.replace("\u2060", "").split("\n", 2)[2].split() == [
        "a",
        "<b>bold</b>",
        "{\\an8}",
        "-->",
        "b",
        "&",
        "c",
    ]


def test_webvtt_escapes_what_it_would_read_as_markup():
    cues, _ = made("a <b> --> b & c")

    vtt = subtitle_files.to_vtt(cues)

    assert vtt.startswith("WEBVTT\n\n1\n00:00:00.200 --> ")
    assert vtt.endswith("\na &lt;b&gt; --&gt; b &amp; c\n\n")


def test_no_captions_make_empty_files_of_their_kind():
    assert subtitle_files.to_srt(()) == ""
    assert subtitle_files.to_vtt(()) == "WEBVTT\n\n"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.0, "00:00:00,000"), (59.9996, "00:01:00,000"), (3725.25, "01:02:05,250")]
)
def test_a_time_carries_over_to_the_next_unit(seconds, shown):
    assert subtitle_files.format_time(seconds, ",") == shown


@pytest.mark.slow
def test_captioning_ten_times_the_scenes_takes_ten_times_the_work():
    text = (
        "The reef grows slowly, and the sea takes its time. It drifts for days looking for a place to stay."
    )

    assert len(made(*[text] * 500)[0]) == 1000
    assert calls(lambda: made(*[text] * 500)) <= 11 * calls(lambda: made(*[text] * 50))


def test_an_unspoken_text_is_captioned_over_its_scene():
    told = Narration("Coral grows a centimetre a year, and a reef takes ten thousand of them.", Voice("none"))
    script = Script((Scene("a", duration=2.0), Scene("b", told, transition=Transition("crossfade", 0.4))))
    timeline = plan_timeline(script, {}, 25)

    cues = captions.make_cues(timeline, script, {})

    assert " ".join(line for cue in cues for line in cue.lines) == told.text
    second = timeline.scenes[1]
    assert cues[0].start == pytest.approx(second.start / 25 + 0.4)
    assert cues[-1].end <= second.end / 25


def test_words_of_a_script_without_spaces_are_never_cut():
    text = "แนวปะการังเริ่มต้นจากตัวอ่อนเพียงตัวเดียวแล้วเติบโตอย่างช้ามากในแต่ละปีของทะเลลึก"
    script = Script((Scene("s", Narration(text)),), language="th")
    timeline = plan_timeline(script, {"s": Fraction(8)}, 25)

    cues = captions.make_cues(timeline, script, {"s": align_words(text, (), 8.0)}, columns=30)

    words = [word.text for cue in cues for word in cue.words]
    assert "".join(words) == text
    assert {"ปะการัง", "เติบโต", "ทะเล"} <= set(words)
    assert all(cells <= 30 for cue in cues for cells in map(count_cells, cue.lines))
