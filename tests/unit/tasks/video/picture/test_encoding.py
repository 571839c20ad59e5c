from __future__ import annotations

import pytest

from shared.script.values import Output
from tasks.video.picture.encoding import encoder_options, h264_level


@pytest.mark.parametrize(
    ("size", "fps", "wanted"),
    [
        ((640, 360), 30, "3.1"), ((1280, 720), 30, "3.1"), ((1920, 1080), 30, "4.0"), ((1080, 1920), 30, "4.0"),
        ((1920, 1080), 60, "4.2"), ((2560, 1440), 30, "5.0"), ((3840, 2160), 30, "5.1"), ((3840, 2160), 60, "5.2"),
    ],
)  # fmt: skip
def test_the_level_is_the_lowest_that_allows_the_picture(size, fps, wanted):
    assert h264_level(size, fps) == wanted


@pytest.mark.parametrize("aspect", ["16:9", "9:16", "1:1", "4:5", "4:3", "21:9"])
@pytest.mark.parametrize("resolution", ["360p", "480p", "720p", "1080p", "1440p", "2160p"])
@pytest.mark.parametrize("fps", [24, 60])
def test_every_output_has_a_level(aspect, resolution, fps):
    assert h264_level(Output(aspect=aspect, resolution=resolution).size, fps)


def test_better_quality_costs_more():
    crf = [encoder_options((1920, 1080), 30, quality)["crf"] for quality in ("draft", "standard", "high")]

    assert crf == sorted(crf, reverse=True)
    assert encoder_options((1920, 1080), 30, "standard")["preset"] == "veryfast"


def test_groups_of_pictures_are_closed_and_two_seconds_long():
    found = encoder_options((1920, 1080), 25, "standard")

    assert found["g"] == 50
    assert found["flags"] == "+cgop"
