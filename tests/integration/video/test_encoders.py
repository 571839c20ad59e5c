from __future__ import annotations

import pytest

from shared.errors import Unavailable
from shared.script.values import Scene, Script
from tasks.video.picture import encoder_choice, encoding
from tests.integration.video.rendering import render_script

pytestmark = pytest.mark.services


def test_an_encoder_works_when_frames_come_out_of_it():
    assert encoder_choice.can_encode(encoding.SOFTWARE)
    assert not encoder_choice.can_encode("h264_of_another_world")


@pytest.mark.parametrize("named", [None, "libx264", "rot13", *encoding.HARDWARE])
def test_x264_is_used_if_the_named_encoder_does_not_work(named):
    chosen = encoder_choice.choose_encoder(named)

    assert chosen == encoding.SOFTWARE or encoder_choice.can_encode(chosen)


def test_a_worker_without_the_videos_encoder_leaves_its_segments_to_others(tmp_path):
    missing = [name for name in encoding.HARDWARE if not encoder_choice.can_encode(name)]
    if not missing:
        pytest.skip("every hardware encoder works here")

    with pytest.raises(Unavailable):
        render_script(tmp_path, Script((Scene("a", duration=0.2),)), encoder=missing[0])
