"""The reference reel: six photo-like pictures, a music bed and a script, made here and always the same.

The pictures have what makes photographs costly to encode: a spectrum that falls as 1/f, surfaces that hide each
other with sharp edges (the "dead leaves" of image statistics), shading, and a sensor's noise.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = (1920, 1080)
FPS = 30
PICTURE = (2560, 1440)
SCENE = 4  # seconds; a scene lasts longer where its narration does
CROSSFADE = 0.5
ZOOM = 0.1
RATE = 48_000
MUSIC_SECONDS = 40
TEMPO = 0.5  # seconds of a beat
CHORDS = ((220.0, 261.63, 329.63), (174.61, 220.0, 261.63), (130.81, 196.0, 329.63), (196.0, 246.94, 293.66))

TITLES = (
    "How a reef is born",
    "A larva drifts",
    "It settles on rock",
    "Then it divides",
    "Others move in",
    "A city in the sea",
)
NARRATION = (
    "Every reef on Earth began with one larva, smaller than a grain of rice.",
    "For days it drifts on the currents, and listens for a reef.",
    "Where it finds hard ground it settles, and builds a cup of stone.",
    "One polyp becomes two, and two become four, year after year.",
    "Fish and crabs move in, and each brings something that others need.",
    "In ten thousand years there is a city that can be seen from space.",
)


@dataclass(frozen=True, slots=True)
class Reel:
    """The files that every contestant gets."""

    pictures: tuple[Path, ...]
    music: Path


def make(folder: Path) -> Reel:
    """Return the reel's files, drawn where they are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = tuple(folder / f"picture-{index}.jpg" for index in range(len(TITLES)))
    for index, path in enumerate(pictures):
        if not path.exists():
            cv2.imwrite(str(path), photo(index), [cv2.IMWRITE_JPEG_QUALITY, 92])
    music = folder / "music.wav"
    if not music.exists():
        _write(music, bed())
    return Reel(pictures, music)


def photo(seed: int, size: tuple[int, int] = PICTURE) -> NDArray[np.uint8]:
    """Return a picture with a photograph's statistics, in OpenCV's order of colours."""
    rng = np.random.default_rng(1000 + seed)
    width, height = size
    picture: NDArray[np.float32] = np.empty((height, width, 3), np.float32)
    picture[:] = rng.uniform(60, 180, 3)
    for _ in range(900):  # far surfaces first, near ones over them; sizes fall as a cube, as in nature
        radius = float(np.clip(14 * rng.random() ** -0.5, 14, 420))
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(radius), int(radius * rng.uniform(0.4, 1.0)))
        colour = [float(part) for part in np.clip(rng.normal(118, 48) + rng.normal(0, 22, 3), 8, 247)]
        cv2.ellipse(picture, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    picture *= 1 + 0.22 * _clouds(rng, size, 1.6)[..., None]  # light and shade
    picture += 13 * _clouds(rng, size, 1.0)[..., None]  # textures: as much contrast at every scale
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.7), np.float32)  # a lens
    picture += rng.normal(0, 2.2, picture.shape).astype(np.float32)  # a sensor
    return np.clip(picture, 0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, size: tuple[int, int], fall: float) -> NDArray[np.float32]:
    """Return noise whose amplitude falls as 1/f to the power of `fall`; its deviation is 1."""
    width, height = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((height, width))) / frequency**fall
    spectrum[0, 0] = 0
    made = np.fft.irfft2(spectrum, (height, width))
    return np.asarray(made / made.std(), np.float32)


def bed() -> NDArray[np.float32]:
    """Return a soft music of four chords with a pluck on each beat, in stereo."""
    time = np.arange(RATE * MUSIC_SECONDS) / RATE
    chord = (time / (4 * TEMPO)).astype(int) % len(CHORDS)
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * time / (4 * TEMPO))
    beat = time % TEMPO
    sound = np.zeros((len(time), 2))
    for index, tones in enumerate(CHORDS):
        here = chord == index
        for voice, tone in enumerate(tones):
            pad = np.sin(2 * np.pi * tone * time) + 0.3 * np.sin(4 * np.pi * tone * time)
            pluck = (
                np.sin(4 * np.pi * tone * time)
                * np.exp(-9 * beat)
                * ((time / TEMPO).astype(int) % 3 == voice)
            )
            side = np.array([0.7, 0.5, 0.3])[voice]
            sound += (here * (0.12 * pad * swell + 0.25 * pluck))[:, None] * [side, 1 - side]
    return np.asarray(0.6 * sound / np.abs(sound).max(), np.float32)


def _write(path: Path, sound: NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((sound * 32767).astype("<i2").tobytes())


def script(pictures: list[str], music: str) -> dict[str, Any]:
    """Return the reel as a script; `pictures` and `music` are assets."""
    return {
        "title": TITLES[0],
        "defaults": {
            "motion": "zoom_in",
            "transition": {"type": "crossfade", "duration": CROSSFADE},
        },
        "captions": {"style": "none"},
        "music": {"src": music},
        "scenes": [
            {
                "id": f"scene-{index + 1}",
                "duration": SCENE,
                "narration": said,
                "visual": {"type": "image", "src": picture},
                "text": [{"text": title, "role": "title"}],
            }
            for index, (said, title, picture) in enumerate(zip(NARRATION, TITLES, pictures, strict=True))
        ],
    }


OUTPUT = {"aspect": "16:9", "resolution": "1080p", "fps": FPS, "quality": "standard"}
