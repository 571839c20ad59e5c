"""The encoder's options: the same for all segments of an output, so that they join without re-encoding. Pure."""

from __future__ import annotations

from typing import Any

GOP_SECONDS = 2
TICKS = 512  # a frame, in a file's time base: every time stamp is a whole number
PRESETS = {"draft": ("superfast", 28), "standard": ("veryfast", 23), "high": ("fast", 18)}
# From H.264's Annex A: the level, its macroblocks a second and a frame.
LEVELS = (
    ("3.1", 108_000, 3_600), ("4.0", 245_760, 8_192), ("4.2", 522_240, 8_704), ("5.0", 589_824, 22_080),
    ("5.1", 983_040, 36_864), ("5.2", 2_073_600, 36_864), ("6.0", 4_177_920, 139_264),
)  # fmt: skip
COLORS = {"range": "tv", "color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709"}


SOFTWARE = "libx264"
HARDWARE = ("h264_nvenc", "h264_vaapi", "h264_qsv")
UPLOADS = {"h264_vaapi": "nv12"}  # pixel formats of encoders that take frames only from their own memory
RENDER_NODE = "/dev/dri/renderD128"


def device_options(encoder: str) -> list[str]:
    """Return the options that open an encoder's device; ffmpeg needs them before the inputs."""
    return ["-vaapi_device", RENDER_NODE] if encoder == "h264_vaapi" else []


def h264_level(size: tuple[int, int], fps: int) -> str:
    """Return the lowest H.264 level that allows the frame size and rate."""
    blocks = -(-size[0] // 16) * -(-size[1] // 16)
    return next(name for name, rate, frame in LEVELS if blocks <= frame and blocks * fps <= rate)


def encoder_options(size: tuple[int, int], fps: int, quality: str, encoder: str = SOFTWARE) -> dict[str, Any]:
    """Return ffmpeg's output options. Colour tags are not among them: the frames carry those."""
    preset, crf = PRESETS[quality]
    shared: dict[str, Any] = {
        "c:v": encoder,
        "profile:v": "high",
        "level:v": h264_level(size, fps),
        "g": GOP_SECONDS * fps,
        "flags": "+cgop",  # an open group of pictures would refer to frames before the segment
        "video_track_timescale": fps * TICKS,
        "map_metadata": -1,
        "fflags": "+bitexact",  # no encoder version or date: equal specs give equal bytes
        "f": "mp4",
    }
    return {**shared, **_own_options(encoder, preset, crf, size)}


def _own_options(encoder: str, preset: str, crf: int, size: tuple[int, int]) -> dict[str, Any]:
    """Return the options that only this encoder understands."""
    if encoder == "h264_nvenc":
        return {"preset": "p4", "rc": "vbr", "cq": crf, "b:v": 0, "pix_fmt": "yuv420p"}
    if encoder == "h264_qsv":
        return {"preset": "faster", "global_quality": crf, "pix_fmt": "nv12"}
    if encoder == "h264_vaapi":
        return {"rc_mode": "CQP", "qp": crf}
    # Two threads use two cores when only one segment is left; more do not encode faster and cost memory.
    threads = 2 if size[0] * size[1] <= 1920 * 1080 else 4
    return {"preset": preset, "crf": crf, "threads": threads, "pix_fmt": "yuv420p"}
