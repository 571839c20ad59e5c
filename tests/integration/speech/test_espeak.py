"""Speech by the embedded engine, measured on the samples that it wrote."""

from __future__ import annotations

import contextlib
import signal
import time
import wave

import numpy as np
import psutil
import pytest

from shared.errors import SpeechFailed
from shared.processes.ffmpeg import Stopped
from shared.script.values import Voice
from tasks import speech
from tasks.speech import Line

pytestmark = pytest.mark.services

RATE = speech.SAMPLE_RATE


def samples(path) -> np.ndarray:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def say(tmp_path, text, language="en", voice=None, name="a.wav"):
    return speech.speak(text, language=language, voice=voice or Voice(), target=tmp_path / name)


def loudness(sound: np.ndarray, start: float, end: float) -> float:
    part = sound[round(start * RATE) : round(end * RATE)].astype(float)
    return float(np.sqrt((part**2).mean())) if len(part) else 0.0


def test_a_text_becomes_a_mono_file_as_long_as_it_says(tmp_path):
    spoken = say(tmp_path, "A reef begins with a single larva.")

    sound = samples(spoken.path)
    assert spoken.samples == len(sound)
    assert 1.5 < len(sound) / RATE < 3
    assert np.abs(sound).max() > 5000
    assert spoken.engine == "espeak-ng"


def test_speech_begins_and_ends_with_almost_no_silence_and_no_click(tmp_path):
    sound = samples(say(tmp_path, "Coral grows slowly.").path)

    loud = np.flatnonzero(np.abs(sound.astype(int)) > 100)
    assert loud[0] < 0.05 * RATE
    assert len(sound) - loud[-1] < 0.05 * RATE
    assert (abs(int(sound[0])), abs(int(sound[-1]))) == (0, 0)


def test_word_times_match_the_audio(tmp_path):
    text = "Stop. Look. Listen."
    spoken = say(tmp_path, text)

    sound = samples(spoken.path)
    assert [word.text for word in spoken.words] == ["Stop.", "Look.", "Listen."]
    for word, following in zip(spoken.words, [*spoken.words[1:], None], strict=True):
        assert loudness(sound, word.start, word.end) > 500
        if following is not None:
            # The silence between the sentences lies between the words, to within 80 ms.
            quiet = np.flatnonzero(np.abs(sound.astype(int)) < 60)
            gap = quiet[(quiet > word.start * RATE) & (quiet < (following.start + 0.1) * RATE)]
            runs = np.split(gap, np.flatnonzero(np.diff(gap) > 1) + 1)
            longest = max(runs, key=len)
            assert abs(longest[0] / RATE - word.end) < 0.08
            assert abs(longest[-1] / RATE - following.start) < 0.08


def test_every_word_of_a_long_text_has_its_place_and_time(tmp_path):
    text = ("The reef grows slowly, and the sea takes its time. It is 1,234 metres deep! " * 70)[:5000]
    spoken = say(tmp_path, text)

    assert "".join(word.text for word in spoken.words) == "".join(text.split())
    assert all(text[word.offset : word.offset + word.length] == word.text for word in spoken.words)
    assert all(
        before.end <= after.start + 1e-6
        for before, after in zip(spoken.words, spoken.words[1:], strict=False)
    )
    assert spoken.words[-1].end <= spoken.samples / RATE
    assert spoken.words[-1].end > spoken.samples / RATE - 1


STRANGE = [
    "🎉🎉 party 👍🏽 time",
    "He said \"it's\" & 'fine' <b>bold</b> <speak><break time='9s'/></speak> [[h@l'oU]]",
    "a\x00b\x01\x02c\u202e\ufeff\ud800",
    "{{field}} %s \\n \\ {b} ; $(reboot) `x`",
    "x" * 5000,
    "。" * 3000 + "好",
    "." * 5000,
    "🎉",
    " \n\n ",
    "ﷺ ﷽ 👨‍👩‍👧‍👦 Z̸̢̛a̷l̶g̵o̴",
]


def test_no_text_breaks_the_engine(tmp_path):
    lines = [Line(text, "en", tmp_path / f"{index}.wav") for index, text in enumerate(STRANGE)]

    for text, spoken in zip(STRANGE, speech.narrate(lines), strict=True):
        assert spoken.samples == len(samples(spoken.path)) > 0
        assert "".join("".join(word.text.split()) for word in spoken.words) == "".join(text.split())


def test_markup_is_read_as_the_text_that_it_is(tmp_path):
    plain = say(tmp_path, "one two")
    marked = say(tmp_path, "one <break time='60s'/> two", name="b.wav")
    phonemes = say(tmp_path, "[[@]]", name="c.wav")

    assert plain.samples < marked.samples < plain.samples + 6 * RATE
    assert phonemes.samples > 0


def test_an_ellipsis_and_a_blank_line_pause(tmp_path):
    lengths = [
        say(tmp_path, text).samples / RATE
        for text in ("One Two", "One. Two", "One… Two", "One\n\nTwo")
    ]  # fmt: skip

    assert lengths[0] < lengths[1] < lengths[2] < lengths[3]


def test_speed_changes_the_length_by_about_as_much(tmp_path):
    text = "The quick brown fox jumps over the lazy dog and runs into the forest."
    slow, normal, fast = (say(tmp_path, text, voice=Voice(speed=speed)).samples for speed in (0.5, 1.0, 2.0))

    assert 1.6 < slow / normal < 2.4
    assert 0.4 < fast / normal < 0.65


GREETINGS = {
    "de": "Guten Tag", "fr": "Bonjour", "zh": "你好世界", "ja": "こんにちは", "ar": "مرحبا بالعالم", "he": "שלום",
    "hi": "नमस्ते दुनिया", "ru": "Привет", "ko": "안녕하세요", "th": "สวัสดี",
}  # fmt: skip


def test_languages_are_spoken(tmp_path):
    lines = [Line(text, language, tmp_path / f"{language}.wav") for language, text in GREETINGS.items()]

    for line, spoken in zip(lines, speech.narrate(lines), strict=True):
        assert spoken.samples > 0.3 * RATE
        assert "".join(word.text for word in spoken.words) == "".join(line.text.split())


def test_every_voice_of_the_catalogue_speaks(tmp_path):
    lines = [
        Line("hello 1 2", "en", tmp_path / f"{index}.wav", Voice(voice.name))
        for index, voice in enumerate(speech.embedded_voices())
    ]

    spoken = speech.narrate(lines)

    assert all(one.samples > 0.05 * RATE for one in spoken)
    assert len({line.target.read_bytes() for line in lines}) > 100


def test_an_unknown_language_or_voice_is_named_in_the_error(tmp_path):
    with pytest.raises(SpeechFailed, match="xx-YY"):
        say(tmp_path, "hello", language="xx-YY")
    with pytest.raises(SpeechFailed, match="nobody"):
        say(tmp_path, "hello", voice=Voice("nobody"))


def test_the_same_text_sounds_the_same_alone_and_among_others(tmp_path):
    text = "The same words, once more."
    voices = ["en-us", "de", "en-us+f3", "cmn", "en-us", "en-us+f3"]
    lines = [Line(text, "en", tmp_path / f"{index}.wav", Voice(name)) for index, name in enumerate(voices)]
    speech.narrate([*lines[:2], Line("Others. In between.", "en", tmp_path / "x.wav"), *lines[2:]])

    alone = [
        say(tmp_path, text, voice=Voice(name), name=f"alone-{name}.wav") for name in ("en-us", "en-us+f3")
    ]

    data = [line.target.read_bytes() for line in lines]
    assert data[0] == data[4] == alone[0].path.read_bytes()
    assert data[2] == data[5] == alone[1].path.read_bytes()


def test_ten_minutes_of_speech_take_seconds_and_a_child_that_is_gone_after(tmp_path):
    text = ("The reef grows slowly, and the sea takes its time. " * 98)[:5000]
    started = time.monotonic()

    spoken = speech.narrate([Line(text, "en", tmp_path / f"{index}.wav") for index in range(2)])

    assert sum(one.samples for one in spoken) > 600 * RATE
    assert time.monotonic() - started < 20
    assert not speakers()


def speakers() -> list[psutil.Process]:
    """Return this test's engine and the processes that it started."""
    found: list[psutil.Process] = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may end while it is looked at
            if any("espeak_child" in part for part in each.cmdline()):
                found.append(each)
    return found


def many(tmp_path) -> list[Line]:
    text = ("The reef grows slowly, and the sea takes its time. " * 98)[:5000]
    return [Line(text, "en", tmp_path / f"{index}.wav") for index in range(60)]


def test_canceled_speech_stops_at_once_with_all_its_processes(tmp_path):
    seen: list[psutil.Process] = []
    started = time.monotonic()

    def unwanted() -> bool:
        seen.extend(speakers())
        return len(seen) > 1

    with pytest.raises(Stopped):
        speech.narrate(many(tmp_path), stop=unwanted)

    assert time.monotonic() - started < 10
    psutil.wait_procs(seen, timeout=2)
    assert not [each for each in seen if each.is_running()]


def test_a_crash_of_the_engine_fails_the_narration_and_nothing_else(tmp_path):
    def crash() -> bool:
        for process in speakers()[:1]:
            process.send_signal(signal.SIGSEGV)
        return False

    with pytest.raises(SpeechFailed):
        speech.narrate(many(tmp_path), stop=crash)

    assert say(tmp_path, "still here").samples > 0


def test_the_engine_leaves_no_files_but_the_requested_ones(tmp_path):
    say(tmp_path, "hello")

    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
