"""Scripts without a model."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.schemas.job import JobSchema
from shared.script import speaking_rate
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema
from shared.script.values import Brief
from tasks.script.colors import luminance, scene_gradients
from tasks.script.outline import write_outline
from tasks.script.term_weights import depends_on_previous, label_phrases, weigh_terms

ROOT = Path(__file__).parents[4]
ARTICLE = """# The Coral Reefs of the World

Coral reefs are built by animals no larger than a grain of rice. A single larva drifts for weeks before it finds bare
rock. When it settles, it begins to build a skeleton of limestone around itself. It then divides, again and again.

Most corals grow about one centimetre a year. At that pace the Great Barrier Reef needed some 8,000 years to reach its
present size. It is the largest structure that living things have made, and astronauts can see it from orbit.

## Why reefs matter

Reefs cover less than one percent of the sea floor. Yet a quarter of all marine species spend part of their lives there.
Fishermen in more than a hundred countries depend on them. Reefs also break the waves that would wash the coast away.

## What threatens them

In 1998 unusually warm water killed about a sixth of the world's reefs. Corals live with algae that feed them; when the
water is too warm, the corals expel the algae and turn white. A bleached coral is not dead, but it starves. Is it lost?

Scientists in Australia now breed corals that bear more heat. Nobody knows whether this will be fast enough.
"""


def scenes(brief: Brief):
    return load(ScriptSchema(), write_outline(brief).document).scenes


def told(brief: Brief) -> list[str]:
    return [scene.narration.text for scene in scenes(brief) if scene.narration]


def shown(brief: Brief) -> list[tuple[str, str]]:
    return [(text.text, text.role) for scene in scenes(brief) for text in scene.text]


def seconds(brief: Brief) -> float:
    made = scenes(brief)
    spoken = sum(
        scene.pad_before - 0.2 for scene in made if scene.narration
    ) + speaking_rate.estimate_video_seconds(told(brief))
    return spoken + sum(scene.duration for scene in made if not scene.narration)


def test_an_article_is_outlined_in_its_own_words_and_order():
    said = " ".join(told(Brief(source_text=ARTICLE)))

    plain = " ".join(ARTICLE.split())
    places = [plain.index(sentence) for sentence in re.split(r"(?<=[.?]) ", said)]
    assert places == sorted(places)


def test_the_title_opens_the_video_above_its_headings_and_closes_it():
    made = scenes(Brief(source_text=ARTICLE))

    assert [(text.text, text.role) for text in made[0].text[:2]] == [
        ("The Coral Reefs of the World", "title"),
        ("Why reefs matter \u00b7 What threatens them", "subtitle"),
    ]
    assert all(scene.text[0].role == "label" for scene in made[1:-1])
    assert [text.text for text in made[-1].text] == ["The Coral Reefs of the World"]
    assert made[-1].transition.type == "fade_black"


def test_shown_words_come_from_the_text_and_are_never_repeated():
    found = shown(Brief(source_text=ARTICLE))

    assert ("Why reefs matter", "title") in found
    assert ("Great Barrier Reef", "lower_third") in found
    assert ("8,000 years", "title") in found
    assert ("to reach its present size", "subtitle") in found
    plain = " ".join(ARTICLE.split()).casefold()
    words = [text for text, role in found if role not in ("label", "subtitle")]
    assert all(text.casefold() in plain for text in words)
    assert len(set(words)) == len(words) - 1  # the title comes twice


def test_words_are_shown_about_when_they_are_said_and_one_after_the_other():
    for scene in scenes(Brief(source_text=ARTICLE)):
        large = [text for text in scene.text if text.role in ("title", "quote", "lower_third")]
        spoken = speaking_rate.estimate_speech_seconds(scene.narration.text) if scene.narration else 0.0

        assert all(text.start <= spoken for text in large)
        assert all(one.end == other.start for one, other in itertools.pairwise(large))


def test_every_scene_shows_something():
    assert all(
        any(text.role != "label" for text in scene.text) for scene in scenes(Brief(source_text=ARTICLE))
    )


def test_items_of_a_list_stand_below_each_other():
    text = "# Bring along\n\nYou will need only these things here.\n\n- A tent\n- Two lamps\n- Some rope\n"

    (scene,) = scenes(Brief(source_text=text, scenes=1))

    items = scene.text[-3:]
    assert [(text.text, text.role, text.end) for text in items] == [
        ("A tent", "title", None),
        ("Two lamps", "title", None),
        ("Some rope", "title", None),
    ]
    assert [text.start for text in items] == sorted({text.start for text in items})


TABLE = """# Where electricity comes from

A quarter of a century ago, Europe burnt coal. It was cheap, and it lay in the ground.

## Now

Today nuclear power leads. These are the shares of each source in the year 2024.

| Source | Share of 2024 |
|:-------|--------------:|
| Nuclear | 23.7 % |
| Wind | 17.4% |
| Gas | 1,015.7 % |

For the first time, the sun gave more than coal. It comes last now, and it will not come back.
"""


def test_a_table_of_numbers_is_a_chart_beside_what_is_said_before_it():
    made = scenes(Brief(source_text=TABLE, duration=30))

    (scene,) = (each for each in made if each.visual and each.visual.type == "chart")
    assert "shares of each source" in scene.narration.text
    assert scene.text == ()
    assert (scene.visual.title, scene.visual.unit) == ("Now: Share of 2024", "%")
    assert [(bar.label, bar.value) for bar in scene.visual.bars] == [
        ("Nuclear", 23.7),
        ("Wind", 17.4),
        ("Gas", 1015.7),
    ]


def test_the_example_of_an_article_shows_all_that_the_outliner_can():
    job = load(JobSchema(), json.loads((ROOT / "examples" / "article.json").read_text()))

    made = write_outline(job.brief)

    assert made.warnings == ()
    script = load(ScriptSchema(), made.document)
    roles = {text.role for scene in script.scenes for text in scene.text}
    assert roles == {"title", "subtitle", "label", "lower_third", "quote"}
    assert "chart" in {scene.visual.type for scene in script.scenes if scene.visual}


@pytest.mark.parametrize(
    "table",
    [
        "| Name | Colour |\n|---|---|\n| Sky | blue |\n| Sea | green |",
        "| Name | Height |\n|---|---|\n| Alone | 3 |",
        "| Name | Height |\n|---|---|\n| Sky | 3 |\n| Sea | -2 |",
        "| Name | Height |\n|---|---|\n| Sky | 3 | 4 |\n| Sea | 2 |",
    ],
    ids=["no numbers", "one row", "below nothing", "crooked"],
)
def test_a_table_without_a_chart_is_skipped(table):
    made = scenes(
        Brief(source_text=f"The sky is high. The sea is deep.\n\n{table}\n\nBoth are blue.", scenes=2)
    )

    assert all(scene.visual is None or scene.visual.type == "gradient" for scene in made)
    assert "|" not in " ".join(scene.narration.text for scene in made)


@pytest.mark.parametrize(
    ("brief", "name"),
    [
        (Brief(topic="Moss", style="green watercolours"), "forest"),
        (Brief(topic="Rates", tone="formal"), "bulletin"),
        (Brief(topic="Sums", audience="school classes"), "chalk"),
    ],
    ids=["style", "tone", "audience"],
)
def test_the_brief_s_own_words_choose_the_theme(brief, name):
    assert write_outline(brief).document["theme"] == name


def test_themes_differ_from_brief_to_brief():
    names = {write_outline(Brief(topic=f"Topic number {number}")).document["theme"] for number in range(40)}

    assert names == {"slate", "bulletin", "forest", "chalk", "sunrise"}


@pytest.mark.parametrize("duration", [20, 30, 45, 60])
def test_the_length_is_about_the_requested_one(duration):
    assert 0.85 * duration <= seconds(Brief(source_text=ARTICLE, duration=duration)) <= 1.15 * duration


@pytest.mark.parametrize("number", [1, 2, 4, 7])
def test_there_are_as_many_scenes_as_requested(number):
    assert len(scenes(Brief(source_text=ARTICLE, scenes=number))) == number


def test_the_end_of_the_article_is_covered_too():
    said = told(Brief(source_text=ARTICLE, duration=50, scenes=6))

    assert "Scientists" in said[-1] or "Nobody" in said[-1]


def test_a_keyword_is_said():
    brief = Brief(source_text=ARTICLE, duration=25, scenes=3, keywords=("Astronauts",))

    assert "astronauts" in json.dumps(write_outline(brief).document)
    assert write_outline(brief).warnings == ()


def test_missing_parts_of_the_brief_are_warned_about():
    made = write_outline(
        Brief(source_text="Salt is old. It is white.", scenes=5, duration=60, keywords=("pepper",))
    )

    assert len(made.document["scenes"]) == 2
    assert [warning.split(",")[0] for warning in made.warnings] == [
        "The brief says enough for 2 scenes",
        "Not said: pepper.",
        "The brief says enough for about 3 seconds",
    ]


def test_a_topic_without_text_adds_no_words_of_its_own():
    brief = Brief(topic="How a reef is born", keywords=("larva", "polyp"), audience="children", duration=20)

    made = scenes(brief)

    assert told(brief) == ["How a reef is born.", "Larva.", "Polyp."]
    assert [scene.text[-1].text for scene in made] == ["How a reef is born", "Larva", "Polyp"]
    assert sum(scene.duration for scene in made) == pytest.approx(20, abs=0.01)


def test_a_short_topic_is_shown_word_by_word_and_closed():
    made = scenes(Brief(topic="How a coral reef grows", scenes=5, duration=20))

    assert [scene.narration.text for scene in made if scene.narration] == ["How a coral reef grows."]
    assert [scene.text[-1].text for scene in made] == [
        "How a coral reef grows",
        "Coral",
        "Reef",
        "Grows",
        "How a coral reef grows",
    ]
    assert write_outline(Brief(topic="How a coral reef grows", scenes=5, duration=20)).warnings == ()


def test_a_topic_of_several_sentences_is_told_sentence_by_sentence():
    made = scenes(Brief(topic="海の中の森。サンゴの一生。", language="ja"))

    assert [scene.narration.text for scene in made if scene.narration] == ["海の中の森。", "サンゴの一生。"]
    assert made[0].text[0].text == "海の中の森"


def test_the_language_is_kept():
    script = load(
        ScriptSchema(),
        write_outline(Brief(source_text="珊瑚每年生长一厘米。它很慢。", language="zh-Hans")).document,
    )

    assert script.language == "zh-Hans"
    assert script.scenes[0].narration.text == "珊瑚每年生长一厘米。它很慢。"


def test_list_items_get_a_full_stop():
    made = scenes(Brief(source_text="What to bring:\n\n- A tent\n- Two lamps\n", scenes=1))

    assert made[0].narration.text == "What to bring: A tent. Two lamps."


def test_the_same_brief_gives_the_same_script():
    brief = Brief(source_text=ARTICLE, duration=40)

    assert write_outline(brief) == write_outline(brief)


def test_a_long_article_is_cut_to_a_video():
    paragraphs = [ARTICLE.replace("reefs", f"reefs of island {number}") for number in range(40)]
    brief = Brief(source_text="\n\n".join(paragraphs))

    assert len(told(brief)) == 8
    assert 60 < seconds(brief) < 90


def test_a_repeated_sentence_is_spoken_once():
    said = told(Brief(source_text="Salt is old. It is white.\n\n" * 20))

    assert " ".join(said).count("Salt is old.") == 1


def test_backgrounds_are_dark_enough_for_white_text():
    colors = [color for pair in scene_gradients(40) for color in pair]

    assert max(map(luminance, colors)) <= 0.1
    assert len(set(colors)) > 6
    assert scene_gradients(2)[0] != scene_gradients(2)[1]


anything = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=400)
prose = st.lists(
    st.sampled_from(
        [
            "A reef.",
            "{{name}}",
            "# Head",
            "- item",
            "\n",
            "\n\n",
            "3,000 fish",
            "珊瑚。",
            "“Yes?”",
            "it's",
            "*",
        ]
    ),
    min_size=1,
    max_size=40,
).map(" ".join)


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Brief,
        topic=st.none() | anything,
        source_text=anything | prose,
        duration=st.none() | st.floats(3, 3600),
        scenes=st.none() | st.integers(1, 100),
        keywords=st.lists(anything.map(lambda text: text[:100]), max_size=3).map(tuple),
        language=st.sampled_from(["en", "ja", "ar"]),
    )
)
def test_every_brief_gives_a_valid_script(brief):
    made = load(ScriptSchema(), write_outline(brief).document)

    assert 1 <= len(made.scenes) <= (brief.scenes or 500)


@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        Brief, topic=anything, keywords=st.lists(anything.map(lambda text: text[:100]), max_size=3).map(tuple)
    )
)
def test_every_topic_gives_a_valid_script(brief):
    assert load(ScriptSchema(), write_outline(brief).document).scenes


@pytest.mark.parametrize(
    ("sentence", "best"),
    [
        ("At that pace the Great Barrier Reef needed 8,000 years.", "Great Barrier Reef"),
        ("Some 8,000 years passed.", "8,000 years"),
        ("In 1998 warm water came.", "1998"),
        ("It cost $3.5 in all.", "$3.5"),
        ("About 12% were lost.", "12%"),
        ("People in Australia know.", "Australia"),
    ],
)
def test_a_sentence_is_labelled_by_its_name_or_number(sentence, best):
    assert label_phrases(sentence)[0] == best


def test_a_sentence_without_name_or_number_has_no_label():
    assert label_phrases("Then 12 of them were seen.") == []


def test_words_that_carry_a_text_weigh_more_than_others():
    weights = weigh_terms(["The reef grows.", "A reef lives.", "Something else happened there."])

    assert (
        weights.weight_of("The reef grows.")
        > weights.weight_of("Something happened there.")
        > weights.weight_of("And so it is.")
    )


def test_a_sentence_that_refers_to_the_one_before_is_recognised():
    assert depends_on_previous("It then divides.")
    assert not depends_on_previous("Reefs divide.")
