from __future__ import annotations

import pytest

from tasks.video.picture.clips import Clip
from tasks.video.picture.encoding import encoder_options
from tasks.video.picture.filter_graph import Graph, Layer, PlacedImage, StaticSubtitles, build_arguments

SIZE = (640, 360)
CLIP = Clip("/store/a", "video/mp4", (1280, 720), 10.0, "cover")


def graph(**fields) -> Graph:
    base = {
        "layers": [Layer(stdin_index=0)],
        "still": False,
        "encoding": encoder_options(SIZE, 25, "standard"),
    }
    return Graph(SIZE, 25, 50, **{**base, **fields})


def filters(made: list[str]) -> str:
    return made[made.index("-filter_complex") + 1]


def test_a_still_that_stays_comes_once_and_is_repeated():
    made = build_arguments(graph(still=True), "file:out.mp4")

    assert "loop=loop=-1:size=1" in filters(made)
    assert made[made.index("-i") + 1] == "pipe:0"


def test_two_stills_come_as_one_tall_picture():
    made = build_arguments(
        graph(layers=[Layer(stdin_index=0), Layer(stdin_index=1)], transition="crossfade"), "file:out.mp4"
    )

    assert made[made.index("-video_size") + 1] == "640x720"
    assert "crop=640:360:0:360" in filters(made)


@pytest.mark.parametrize("kind", ["wipe_left", "circle_open"])
def test_a_mask_lies_below_the_pictures(kind):
    made = build_arguments(
        graph(layers=[Layer(stdin_index=0), Layer(clip=CLIP)], transition=kind), "file:out.mp4"
    )

    assert made[made.index("-video_size") + 1] == "640x720"
    assert "maskedmerge" in filters(made)


def test_a_clip_alone_needs_no_frames_on_stdin():
    made = build_arguments(graph(layers=[Layer(clip=CLIP)]), "file:out.mp4")

    assert "pipe:0" not in made
    assert made[made.index("-i") + 1] == "file:/store/a"


def test_a_clip_is_read_by_the_demuxer_of_its_type_and_reaches_no_network():
    made = build_arguments(graph(layers=[Layer(clip=CLIP)]), "file:out.mp4")

    before = made[: made.index("-i")]
    assert before[before.index("-f") + 1] == "mov"
    assert before[before.index("-protocol_whitelist") + 1] == "file"
    assert before[before.index("-max_streams") + 1] == "64"
    assert "-t" in before


def test_a_scenes_text_moves_with_it_and_overlays_lie_on_top():
    stamp = PlacedImage("stamp0.rgba", (64, 32), (10, 10), 0, 50)
    layers = [Layer(stdin_index=0, subtitles=["layer0.ass"]), Layer(stdin_index=1, subtitles=["layer1.ass"])]

    text = filters(
        build_arguments(
            graph(layers=layers, transition="slide_left", overlays=[stamp, "over.ass"]), "file:out.mp4"
        )
    )

    order = [text.index(part) for part in ("layer0.ass", "layer1.ass", "hstack", "overlay", "over.ass")]
    assert order == sorted(order)


def test_an_overlay_that_comes_and_goes_is_switched_by_frames():
    stamp = PlacedImage("stamp0.rgba", (64, 32), (10, 10), 10, 20)

    assert "between(n" in filters(build_arguments(graph(overlays=[stamp]), "file:out.mp4"))


def test_exactly_the_planned_frames_are_asked_for():
    made = build_arguments(graph(), "file:out.mp4")

    assert made[made.index("-frames:v") + 1] == "50"
    assert made[-1] == "file:out.mp4"


def test_equal_graphs_give_equal_arguments():
    layers = [Layer(clip=CLIP), Layer(stdin_index=0)]

    assert build_arguments(graph(layers=layers, transition="zoom"), "x") == build_arguments(
        graph(layers=layers, transition="zoom"), "x"
    )


def test_two_subtitle_files_with_the_same_spans_stay_separate():
    spans = ((0, 50),)
    two = [StaticSubtitles("title.ass", spans), StaticSubtitles("captions.ass", spans)]

    made = filters(
        build_arguments(
            graph(layers=[Layer(stdin_index=0, subtitles=(two[0],))], overlays=(two[1],)), "file:out.mp4"
        )
    )

    assert made.count("filename=title.ass") == made.count("filename=captions.ass") == 2


def test_a_still_is_drawn_once_for_each_time_that_it_looks_different():
    words, stamp = (
        StaticSubtitles("a.ass", ((5, 20), (20, 40))),
        PlacedImage("logo.rgba", (40, 20), (0, 0), 10, 60),
    )

    made = filters(
        build_arguments(
            graph(still=True, layers=[Layer(stdin_index=0, subtitles=[words])], overlays=[stamp]), "x"
        )
    )

    assert "select=eq(n\\,0)+eq(n\\,5)+eq(n\\,10)+eq(n\\,20)+eq(n\\,40)" in made
    assert "enable=between(n\\,1\\,2)+between(n\\,3\\,3)" in made  # of the words: 5 to 19, and 20 to 39
    assert "enable=between(n\\,2\\,4)" in made  # of the stamp: from 10 on
    assert "tpad=stop=-1:stop_mode=clone" in made


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"layers": [Layer(stdin_index=0, subtitles=["moving.ass"])], "still": True}, id="moving text"),
        pytest.param({"layers": [Layer(stdin_index=0, subtitles=[StaticSubtitles("a.ass", ((5, 20),))])]}, id="moving"),
        pytest.param(
            {"layers": [Layer(stdin_index=0), Layer(stdin_index=1)], "still": True, "transition": "crossfade"}, id="fade"
        ),
    ],
)  # fmt: skip
def test_moving_pictures_are_drawn_on_every_frame(fields):
    assert "tpad" not in filters(build_arguments(graph(**fields), "x"))
