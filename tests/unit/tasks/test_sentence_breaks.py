"""Where sentences end, in several languages."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sentence_breaks import sentence_ends


def sentences(text: str, language: str) -> list[str]:
    edges = [0, *sentence_ends(text, language), len(text)]
    return [part for begin, end in pairwise(edges) if (part := text[begin:end].strip())]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Dr. Who met Mr. Smith.", "They left."]),
        ("en-GB", ["See Fig. 3 and No. 5.", "He said no.", "They left."]),
        ("en", ["It opened on Sept. 11.", "We leave in Oct.", "Then it snows."]),
        ("en", ["It works.", "\N{PARTY POPPER} Fine.", "So it is."]),
        ("en", ["Wait\u2026", "Now go."]),
        ("de", ["Hr. Dr. Meier kommt z.B. heute.", "Abb. 3 zeigt es."]),
        ("fr", ["M. Dupont et Mme Durand arrivent.", "Ils partent."]),
        ("es", ["El Sr. P\u00e9rez y la Sra. G\u00f3mez.", "\u00bfQu\u00e9 tal?", "Bien."]),
        (
            "ja",
            ["\u6587\u3067\u3059\u3002", "\u300c\u306f\u3044\u3002\u300d", "\u3068\u8a00\u3063\u305f\u3002"],
        ),
        ("x-klingon", ["One.", "Two."]),
    ],
)
def test_a_sentence_ends_where_its_language_ends_it(language: str, expected: list[str]) -> None:
    separator = "" if language == "ja" else " "

    assert sentences(separator.join(expected), language) == expected


@pytest.mark.parametrize("space", ["\n", "\r\n", "\u2028", "\u2029", "\x85"])
def test_a_line_break_ends_no_sentence(space: str) -> None:
    assert sentence_ends(f"It is{space}one.", "en") == []


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(["en", "de", "ja", "ar", "und"]))
def test_every_end_lies_inside_any_text(text: str, language: str) -> None:
    ends = sentence_ends(text, language)

    assert ends == sorted(set(ends))
    assert all(0 < end < len(text) for end in ends)
