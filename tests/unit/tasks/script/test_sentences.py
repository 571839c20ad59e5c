"""From articles to sentences."""

from __future__ import annotations

import pytest

from tasks.script.sentences import MAX_SENTENCE, parse_article, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        pytest.param("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"], id="marks"),
        pytest.param(
            "Dr. Smith, e.g. in 3.5 mm, met J. R. Jones. He left.",
            ["Dr. Smith, e.g. in 3.5 mm, met J. R. Jones.", "He left."],
            id="abbreviations",
        ),
        pytest.param('"It drifts." It said: “Stop!” Then so.', ['"It drifts."', "It said: “Stop!”", "Then so."], id="quotes"),
        pytest.param(
            "它漂流数周。真的\uff01「是的。」它说。", ["它漂流数周。", "真的\uff01", "「是的。」", "它说。"], id="Chinese"),
        pytest.param("هل تعلم؟ نعم.", ["هل تعلم؟", "نعم."], id="Arabic"),
        pytest.param("मूंगा बढ़ता है। धीरे।", ["मूंगा बढ़ता है।", "धीरे।"], id="Hindi"),
        pytest.param("Version 2.0 is out. See z.B. unten.", ["Version 2.0 is out.", "See z.B. unten."], id="numbers"),
        pytest.param("", [], id="nothing"),
    ],
)  # fmt: skip
def test_sentences_end_where_they_end(text, sentences):
    assert split_sentences(text) == sentences


def test_markup_is_removed():
    text = parse_article(
        """# How reefs grow

A **reef** begins [12] with [a larva](https://example.org/x). See https://example.org/y too.

## The slow part

- Coral grows *one* centimetre
- Bones carry it
1. First of all

| a | b |
|---|---|
---
```
code()
```
<p>The end.</p>
"""
    )

    assert text.title == "How reefs grow"
    assert [each.text for each in text.sentences] == [
        "A reef begins with a larva.",
        "See too.",
        "Coral grows one centimetre",
        "Bones carry it",
        "First of all",
        "The end.",
    ]
    assert [each.heading for each in text.sentences] == ["", "", *["The slow part"] * 4]
    assert [each.starts_section for each in text.sentences] == [False, False, True, False, False, False]


def test_a_first_line_without_a_full_stop_is_the_title():
    assert parse_article("A short history of salt\n\nSalt is old.").title == "A short history of salt"
    assert parse_article("Salt is old.\n\nIt is white.").title == ""


def test_an_overlong_sentence_is_split_at_its_pauses():
    long = "The reef grows, " * 60 + "and ends."

    sentences = [each.text for each in parse_article(long).sentences]

    assert max(map(len, sentences)) <= MAX_SENTENCE
    assert " ".join(sentences) == long
    assert all(each.endswith((",", ".")) for each in sentences)


@pytest.mark.parametrize(
    "text", ["x" * 10_000, "字" * 10_000, "word " * 3000], ids=["letters", "characters", "words"]
)
def test_text_without_punctuation_is_split_too(text):
    sentences = [each.text for each in parse_article(text + ".").sentences]

    assert max(map(len, sentences)) <= MAX_SENTENCE
    assert "".join(sentences).replace(" ", "") == text.replace(" ", "") + "."


def test_200000_characters_are_parsed_in_under_3_seconds(benchmark_seconds):
    text = ("A reef (see [1]) begins with *one* larva, e.g. of 3.5 mm; it drifts. <b>So</b>\n" * 2500)[
        :200_000
    ]

    assert benchmark_seconds(lambda: parse_article(text)) < 3


@pytest.mark.parametrize(
    "hostile",
    [
        "*" * 50_000,
        "[" * 50_000,
        "<" * 50_000,
        "`" * 50_000,
        "# " * 25_000,
        "." * 50_000,
        "a." * 25_000,
        "\n\n" * 25_000,
        "__" * 25_000 + "x",
    ],
)
def test_no_text_makes_it_slow(benchmark_seconds, hostile):
    assert benchmark_seconds(lambda: parse_article(hostile)) < 3
