"""What stock providers answer is read as far as it can be, and asked for as their documentation says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pictures.stock_apis import Candidate, Pexels, Pixabay, StockQuery, rank_candidates
from tasks.providers.bounded_http import Response
from tasks.providers.http_client import UnreadableResponse

PHOTO = {
    "id": 7, "width": 4000, "height": 2000, "url": "https://www.pexels.com/photo/7/", "photographer": "Ada",
    "src": {"original": "https://images/7.jpg", "large2x": "https://images/7-large.jpg"},
}  # fmt: skip
LIBRARIES = [Pexels(), Pixabay("k")]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["photos", "videos", "hits", "src", "video_files", "id", "width", "imageWidth"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def read(library, need: StockQuery, document) -> list[Candidate]:
    return library.read(need)(Response(200, {}, json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("width", "height", "url"),
    [(1280, 720, "https://images/7-large.jpg"), (1920, 1080, "https://images/7.jpg")],
)
def test_the_smallest_size_that_fills_the_output_is_chosen(width, height, url):
    (found,) = read(Pexels(), StockQuery("sea", "photos", width, height), {"photos": [PHOTO]})

    assert found.url == url
    assert found.covers(StockQuery("sea", "photos", width, height))


def test_entries_of_another_shape_are_skipped():
    broken = [
        None,
        {},
        {**PHOTO, "src": None},
        {**PHOTO, "width": "wide"},
        {**PHOTO, "width": 0},
        {**PHOTO, "url": 7},
    ]

    found = read(Pexels(), StockQuery("sea", "photos", 1280, 720), {"photos": [*broken, PHOTO]})

    assert [each.number for each in found] == ["photo-7"]


@given(ANYTHING, st.sampled_from(LIBRARIES), st.sampled_from(["photos", "clips"]))
def test_no_response_breaks_the_reader(document, library, kind):
    try:
        found = read(library, StockQuery("sea", kind, 1280, 720), document)
    except UnreadableResponse:
        return
    assert all(isinstance(each, Candidate) for each in found)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["photos", "clips"])
def test_a_query_is_a_parameter_and_never_a_path(library, kind):
    request = library.request(StockQuery("../../etc/passwd?x=1&key=mine", kind, 1280, 720))

    assert "etc" not in request.path
    assert "../../etc/passwd?x=1&key=mine" in request.params.values()


def test_portrait_candidates_rank_last_for_a_landscape_output():
    def one(number: str, width: int, height: int) -> Candidate:
        return Candidate("P", number, "image", "https://x", width, height, "", "")

    found = rank_candidates(
        [one("small", 640, 360), one("upright", 2000, 3000), one("large", 1920, 1080)],
        StockQuery("sea", "photos", 1280, 720),
    )

    assert [each.number for each in found] == ["large", "small", "upright"]
