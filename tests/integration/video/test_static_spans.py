from __future__ import annotations

import numpy as np
import pytest

from shared.processes.ffmpeg import command, run
from tasks.video.picture import filter_graph
from tasks.video.picture.text import ass, fonts
from tests.integration.video.rendering import read

pytestmark = pytest.mark.services

SIZE, FPS, FRAMES = (320, 180), 25, 60
PEN = ass.TextStyle("Inter", 700, "en", 30, "#ffd166")
# Half-transparent colours over each other, a blurred edge, and a change in the middle.
EVENTS = [
    ass.Event(5, 50, 0, ass.rounded_box((40, 50, 280, 130), 20, "#a02040", 0.6, blur=12)),
    ass.Event(5, 50, 1, ass.rounded_box((60, 70, 200, 150), 0, "#20c0a0", 0.3)),
    ass.Event(5, 28, 2, ass.text_line("Once", PEN, (160, 90), 5, 0.8)),
    ass.Event(28, 50, 2, ass.text_line("Twice", PEN, (160, 90), 5, 1.0)),
]
LOSSLESS = {"c:v": "libx264", "qp": 0, "preset": "ultrafast", "pix_fmt": "yuv420p", "f": "mp4"}


def drawn(folder, name, words):
    noise = np.random.default_rng(1).integers(16, 236, SIZE[0] * SIZE[1], np.uint8)
    chroma = np.random.default_rng(2).integers(16, 240, SIZE[0] * SIZE[1] // 2, np.uint8)
    plan = filter_graph.Graph(
        SIZE,
        FPS,
        FRAMES,
        [filter_graph.Layer(stdin_index=0, subtitles=[words])],
        still=True,
        encoding=LOSSLESS,
    )
    run(
        command(*filter_graph.build_arguments(plan, f"file:{folder / name}")),
        cwd=folder,
        stdin=iter([noise.tobytes(), chroma.tobytes()]),
        env={"FONTCONFIG_FILE": str(fonts.fontconfig_file())},
    )
    return read(folder / name), read(folder / name, rgb=True)


def test_subtitles_drawn_once_look_as_if_drawn_on_every_frame(tmp_path):
    (tmp_path / "words.ass").write_text(ass.to_document(EVENTS, SIZE, FPS))

    luma, colors = drawn(tmp_path, "each.mp4", "words.ass")
    once_luma, once_colors = drawn(
        tmp_path, "once.mp4", filter_graph.StaticSubtitles("words.ass", ((5, 28), (28, 50)))
    )

    assert len(once_luma) == len(luma) == FRAMES
    for frame, (wanted, made) in enumerate(zip(luma, once_luma, strict=True)):
        difference = np.abs(wanted.astype(int) - made.astype(int))
        assert difference.max() <= 3, frame
        assert difference.mean() < 0.3, frame
    for wanted, made in zip(colors, once_colors, strict=True):
        assert np.abs(wanted.astype(int) - made.astype(int)).mean() < 1
    assert np.array_equal(once_luma[4], once_luma[0])
    assert np.abs(once_luma[27].astype(int) - once_luma[28].astype(int)).max() > 100
