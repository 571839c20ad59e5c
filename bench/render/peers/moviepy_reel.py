"""The reel with MoviePy 2, in MoviePy's own environment: pictures resized over time, titles, cross-fades, one mix."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from moviepy import (  # type: ignore[import-not-found]  # it is installed where this runs
    AudioFileClip,
    CompositeAudioClip,
    CompositeVideoClip,
    ImageClip,
    TextClip,
    afx,
    vfx,
)

job = json.loads(Path(sys.argv[1]).read_text())
size, fps, fade = tuple(job["size"]), job["fps"], job["crossfade"]
scenes, sounds = [], []
for index, scene in enumerate(job["scenes"]):
    seconds = scene["frames"] / fps
    picture = ImageClip(scene["picture"]).with_duration(seconds).resized(size)
    zoomed = picture.resized(lambda t, seconds=seconds: 1 + job["zoom"] * t / seconds).with_position("center")
    title = TextClip(text=scene["title"], font=job["font"], font_size=104, color="white", margin=(20, 20))
    title = title.with_duration(seconds).with_position("center")
    made = CompositeVideoClip([zoomed, title], size=size).with_start(scene["start"])
    scenes.append(made.with_effects([vfx.CrossFadeIn(fade)]) if index else made)
    sounds.append(AudioFileClip(scene["speech"]).with_start(scene["spoken_at"]))
music = AudioFileClip(job["music"]).with_effects(
    [afx.AudioLoop(duration=job["seconds"]), afx.MultiplyVolume(0.2), afx.AudioFadeOut(2)]
)
video = CompositeVideoClip(scenes, size=size).with_duration(job["seconds"])
video = video.with_audio(CompositeAudioClip([*sounds, music]).with_duration(job["seconds"]))
video.write_videofile(
    job["target"], fps=fps, codec="libx264", preset="veryfast", audio_codec="aac", audio_bitrate="192k",
    audio_fps=48000, ffmpeg_params=["-crf", "23", "-pix_fmt", "yuv420p"], logger=None,
)  # fmt: skip
