"""Writes a video's soundtrack: decodes and mixes its tracks, normalises the loudness, limits the peaks, encodes.

Loudness is measured, then one gain is applied throughout and a limiter holds the peaks, so that nothing pumps. The mix is
written once as raw samples and read in blocks, so that memory does not grow with its length.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from shared.errors import AssetUnreadable, RenderFailed
from shared.media.sniffing import sniff_file
from shared.processes import ffmpeg
from tasks.video.ffmpeg_runner import FfmpegRunner, title_arguments
from tasks.video.sound import limiter
from tasks.video.sound.mixing import BLOCK_SAMPLES, mix_tracks
from tasks.video.sound.tracks import RATE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tasks.video.sound.mixing import Samples
    from tasks.video.sound.tracks import Take, Track

LOUDNESS = -14.0  # LUFS
TOLERANCE = 0.5  # LU
MAX_ROUNDS = 4  # of gain and limiter, to reach the loudness after limiting
SILENCE = -69.0  # LUFS: the meter reports -70 for silence
MAX_GAIN = 45.0  # dB: a sound that would need more is noise
CEILING = 10 ** (-2.0 / 20)  # true peak: encoding raises peaks, and -1 dBTP is promised
MIN_TEMPO = 2**-20  # below it, the chain of halving filters would never end
MIN_METERED_SAMPLES = 2 * RATE  # the meter needs two seconds; a shorter sound is measured repeated
REPORT = "loudness.txt"  # in the work folder, where ffmpeg runs
METER = f"ebur128=metadata=1,ametadata=mode=print:key=lavfi.r128.I:file={REPORT}"
# Mono stays mono and is heard on both sides in full; converted to stereo by ffmpeg it would lose 3 dB.
CHANNELS = "aformat=channel_layouts=stereo|mono"
FRAME_BYTES = 8  # two channels of 32-bit floats
RAW_FORMAT = ("-f", "f32le", "-ar", str(RATE), "-ac", "2")
AAC_SETTINGS = {"draft": ("fast", "128k"), "standard": ("fast", "192k"), "high": ("twoloop", "256k")}
DECODE_LIMITS = ffmpeg.Limits(wall=1800, stall=120, memory=2 << 30, cpu=1800, file=16 << 30)


@dataclass(frozen=True, slots=True)
class RawMix:
    """The mix before its gain: a file of raw samples, with the true peak and the power of each hop."""

    raw: Path
    samples: int
    peaks: limiter.Values
    powers: limiter.Values


def write_soundtrack(
    tracks: Sequence[Track],
    samples: int,
    targets: Mapping[str, Path],
    *,
    tools: FfmpegRunner,
    quality: str = "standard",
    title: str = "",
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Write the sound to each target, keyed "aac", "opus" or "mp3"; without tracks it is silence.

    Raise AssetUnreadable, RenderFailed, RenderTimeout or Stopped.
    """
    report_progress = on_progress or (lambda _: None)
    decoded = decode_tracks(tracks, tools)
    raw = tools.work / "mix.f32"
    try:
        raw_mix = _write_mix(mix_tracks(decoded, samples), raw, samples, tools)
        report_progress(0.3)
        measured = _measure_loudness(raw_mix, tools) if raw_mix.peaks.any() else SILENCE
        report_progress(0.4)
        _encode_at_loudness(
            raw_mix,
            measured,
            _output_arguments(targets, quality, title),
            tools,
            lambda part: report_progress(0.4 + 0.6 * part),
        )
        report_progress(1.0)
    finally:
        raw.unlink(missing_ok=True)  # 23 MB a minute, which the rest of assembly would lack


def decode_tracks(tracks: Sequence[Track], tools: FfmpegRunner) -> list[Track]:
    """Decode the parts of clients' files that tracks use to WAV, each part once. Raise AssetUnreadable."""
    decoded_files: dict[Take, Path] = {}
    decoded = []
    for track in tracks:
        take = track.take
        if take is not None and take not in decoded_files:
            target = tools.work / f"take-{len(decoded_files)}.wav"
            _decode(take, target, tools)
            decoded_files[take] = target
        decoded.append(replace(track, path=decoded_files[take]) if take is not None else track)
    return decoded


def _decode(take: Take, target: Path, tools: FfmpegRunner) -> None:
    try:
        with take.path.open("rb") as file:
            opening = sniff_file(file).input_options()
    except OSError as error:
        raise AssetUnreadable("A sound of the script cannot be read.") from error
    try:
        tools.run(
            "-protocol_whitelist", "file", "-max_streams", "64", *opening,
            "-ss", f"{take.start:.6f}", "-i", f"file:{take.path.resolve()}",
            "-map", "0:a:0", "-vn", "-sn", "-dn",
            # Without padding, a sound that begins later than its picture would be heard too early.
            "-af", ",".join([*take.downmix, "aresample=async=1:first_pts=0", *tempo_filters(take.tempo), CHANNELS]),
            "-ar", str(RATE), "-t", f"{take.seconds:.6f}",
            "-c:a", "pcm_s16le", "-bitexact", "-f", "wav", f"file:{target}",
            limits=DECODE_LIMITS,
        )  # fmt: skip
    except RenderFailed as error:
        raise AssetUnreadable("A sound of the script cannot be read.") from error


def tempo_filters(tempo: float) -> list[str]:
    """Return filters that change the speed and keep the pitch. One `atempo` slows down to a half at most."""
    steps = []
    tempo = max(tempo, MIN_TEMPO)
    while tempo < 0.5:
        steps.append("atempo=0.5")
        tempo /= 0.5
    return [*steps, f"atempo={tempo:.6f}"] if abs(tempo - 1) > 1e-6 else steps


def _write_mix(blocks: Iterator[Samples], raw: Path, samples: int, tools: FfmpegRunner) -> RawMix:
    """Write the mix as raw samples, and measure the peaks and powers that the limiter needs."""
    with raw.open("wb") as file:
        for block in tools.while_wanted(blocks):
            file.write(block.tobytes())
    measured_blocks = [
        (limiter.measure_peaks(padded), limiter.measure_powers(padded))
        for _, padded in tools.while_wanted(_padded_blocks(raw, samples))
    ]
    peaks, powers = (np.concatenate(values) for values in zip(*measured_blocks, strict=True))
    return RawMix(raw, samples, peaks, powers)


def _padded_blocks(raw: Path, samples: int) -> Iterator[tuple[int, Samples]]:
    """Yield each block's first sample, and the block padded with EDGE samples of its neighbours."""
    edge = limiter.EDGE
    for first in range(0, samples, BLOCK_SAMPLES):
        begin, end = max(0, first - edge), min(samples, first + BLOCK_SAMPLES + edge)
        flat = np.fromfile(raw, np.float32, (end - begin) * 2, offset=begin * FRAME_BYTES)
        missing = (edge - (first - begin), edge - (end - min(samples, first + BLOCK_SAMPLES)))
        yield first, np.pad(flat.reshape(-1, 2), (missing, (0, 0)))


def _limited_chunks(mixed: RawMix, gain: float, curve: limiter.Values) -> Iterator[memoryview]:
    for first, padded in _padded_blocks(mixed.raw, mixed.samples):
        block = padded[limiter.EDGE : -limiter.EDGE] * np.float32(gain)
        yield memoryview(limiter.apply_gain(block, first, curve).tobytes())


def _measure_loudness(mixed: RawMix, tools: FfmpegRunner) -> float:
    """Return the integrated loudness of the mix in LUFS."""
    report = tools.work / REPORT
    level = np.ones(len(mixed.peaks), np.float32)
    times = -(-MIN_METERED_SAMPLES // mixed.samples)
    chunks = itertools.chain.from_iterable(_limited_chunks(mixed, 1.0, level) for _ in range(times))
    tools.run(*RAW_FORMAT, "-i", "pipe:0", "-af", METER, "-f", "null", "-", stdin=chunks)
    return _read_report(report)


def _read_report(report: Path) -> float:
    """Return the last value of the meter's report in LUFS, and delete the report."""
    values = [line.partition("=")[2] for line in report.read_text().splitlines() if line.startswith("lavfi.")]
    report.unlink()
    return float(values[-1]) if values else -70.0


def _encode_at_loudness(
    mixed: RawMix,
    measured: float,
    outputs: Sequence[Sequence[str]],
    tools: FfmpegRunner,
    report_progress: Callable[[float], None],
) -> None:
    """Encode at the gain that reaches the loudness; each round is metered, and corrects the next."""
    aim = LOUDNESS
    for _ in range(MAX_ROUNDS):
        gain, curve = _solve_gain(mixed, aim - measured if measured > SILENCE else 0.0)
        _encode(
            _limited_chunks(mixed, gain, curve),
            outputs,
            tools,
            lambda progress: report_progress(min(1.0, progress.seconds * RATE / mixed.samples)),
        )
        lacking = LOUDNESS - _read_report(tools.work / REPORT)
        beyond = aim + lacking - measured > MAX_GAIN
        if measured <= SILENCE or mixed.samples < MIN_METERED_SAMPLES or abs(lacking) <= TOLERANCE or beyond:
            return
        aim += lacking


def _solve_gain(mixed: RawMix, decibels: float) -> tuple[float, limiter.Values]:
    """Return the gain and its limiter curve that together change the sound's power by `decibels`."""
    target_gain = min(MAX_GAIN, decibels)
    gain_db = target_gain
    for _ in range(MAX_ROUNDS):
        gain = 10 ** (gain_db / 20)
        curve = limiter.compute_gains(mixed.peaks * gain, CEILING)
        power = float(mixed.powers.sum())
        remaining_power = float((mixed.powers * curve**2).sum()) / power if power else 1.0
        gain_db = min(MAX_GAIN, target_gain - 10 * math.log10(remaining_power))
    return gain, curve


def _output_arguments(targets: Mapping[str, Path], quality: str, title: str) -> list[list[str]]:
    """Return ffmpeg's arguments for each target."""
    coder, bitrate = AAC_SETTINGS[quality]
    codecs = {
        "aac": ("-c:a", "aac", "-aac_coder", coder, "-b:a", bitrate, "-f", "mp4"),
        "opus": ("-c:a", "libopus", "-b:a", "128k", "-f", "webm"),
        "mp3": ("-c:a", "libmp3lame", "-b:a", "192k", *title_arguments(title), "-f", "mp3"),
    }
    return [[*codecs[key], f"file:{target}"] for key, target in targets.items()]


def _encode(
    chunks: Iterator[memoryview],
    outputs: Sequence[Sequence[str]],
    tools: FfmpegRunner,
    on_progress: Callable[[ffmpeg.Progress], None],
) -> None:
    """Encode all targets in one run, and meter what is encoded."""
    names = [f"[s{index}]" for index in range(len(outputs))]
    graph = f"[0:a]asplit={len(names) + 1}[m]{''.join(names)};[m]{METER},anullsink"
    arguments = [
        argument for name, output in zip(names, outputs, strict=True) for argument in ("-map", name, *output)
    ]
    tools.run(
        *RAW_FORMAT,
        "-i",
        "pipe:0",
        "-filter_complex",
        graph,
        *arguments,
        stdin=chunks,
        on_progress=on_progress,
    )
