from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.video.captions import line_breaks


def pieces(text, language):
    places = sorted({0, len(text), *line_breaks.find_breaks(text, language)})
    return [text[first:last] for first, last in pairwise(places)]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        pytest.param("th", ["แนว", "ปะการัง", "เกิด", "ขึ้น", "ได้", "อย่างไร"], id="Thai"),
        pytest.param("lo", ["ສະບາຍດີ", "ຊາວໂລກ"], id="Lao"),
        pytest.param("my", ["ကျောက်တန်း", "ဘယ်လို"], id="Burmese"),
        pytest.param("zh", ["珊瑚礁", "生长"], id="Chinese"),
        pytest.param("ja", ["サンゴ礁は", "たった", "一つの"], id="Japanese"),
    ],
)
def test_a_line_ends_where_a_word_ends(language, words):
    assert pieces("".join(words), language) == words


def test_words_of_other_scripts_and_emoji_do_not_shift_the_places():
    assert pieces("🐠 x ปะการังเติบโต", "th") == ["🐠 x ", "ปะการัง", "เติบโต"]


def test_scripts_with_spaces_need_no_dictionary():
    assert line_breaks.find_breaks("Coral grows — déjà vu — слова", "en") == frozenset()


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=60), st.sampled_from(["en", "ja", "zh", "th"]))
def test_places_lie_in_the_text(text, language):
    assert all(0 <= place <= len(text) for place in line_breaks.find_breaks(text, language))
