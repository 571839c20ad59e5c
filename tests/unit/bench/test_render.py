from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from bench.render import chart, costs, reel, report
from shared.script.schema.loading import load
from shared.script.schema.script import ScriptSchema

ASSET = "asset:00000000-0000-0000-0000-000000000000"


def cost(wall: float, cpu: float, **more):
    return {"wall": wall, "cpu": cpu, "memory": {"all": 5e8, "slot 1": 1.2e8}, "usage": {}, **more}


def found(*rounds):
    return {
        "machine": {name: name for name in ("memory", "system", "ffmpeg", "parts", "date")} | {"cpu": "2 cores of x"},
        "reel": {"seconds": 26.7, "frames": 800, "spoken": 23.4},
        "rounds": list(rounds),
        "peers": [{"name": "Other", "version": "1", "absent": "it is not here"}],
        "idle": 0.03,
        "lengths": {"minutes": 10, "long": {"wall": 9, "cpu": 9}, "short": {"wall": 10, "cpu": 10}},
        "overhead": {"1": {"wall": 1, "beyond": 0.2}, "100": {"wall": 9, "beyond": 2.0}},
        "planning": 0.05,
        "load": 0.5,
    }  # fmt: skip


def one_round(factor: float):
    spoken = {"speech_characters": 0}
    return {
        "ffmpeg": cost(10 * factor, 20 * factor), "cold": cost(8 * factor, 18 * factor), "encode": cost(6, 12),
        "same": cost(0.1 * factor, 0.1), "title": cost(4 * factor, 5), "narration": cost(2 * factor, 5),
        "aspect": cost(8, 18, usage=spoken),
    }  # fmt: skip


def test_the_reel_is_a_script_that_we_take():
    script = load(ScriptSchema(), reel.script([ASSET] * len(reel.TITLES), ASSET))

    assert len(script.scenes) == 6
    assert all(scene.transition.type == "crossfade" for scene in script.scenes[1:])


def test_time_in_which_several_programs_run_counts_once():
    assert costs.busy("1 4\n2 3\n3.5 6\n8 9\n", 0, 10) == pytest.approx(6)
    assert costs.busy("1 4\n", 2, 3) == pytest.approx(1)
    assert costs.busy("", 0, 10) == 0


def test_a_ratio_is_taken_within_a_round(tmp_path):
    report.write(found(one_round(1), one_round(5), one_round(2)), tmp_path)

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| cold, to the command: time | ≤ 1.00 x | 0.80 x | met |" in page


def test_a_target_that_is_missed_is_said_plainly(tmp_path):
    report.write(found(one_round(1)), tmp_path)

    page = (tmp_path / "benchmarks.md").read_text()
    assert "| one title edited, to cold | ≤ 0.30 x | 0.50 x | **missed** |" in page
    assert "100 scenes | ≤ 1.50 s | 2.00 s | **missed** |" in page
    assert "Other 1: it is not here" in page


def test_the_picture_is_a_picture():
    ET.fromstring(chart.draw([("A & B", 1.0, 2.0), ("Scenemill", 3.0, 4.0)]))  # noqa: S314 (our own)
