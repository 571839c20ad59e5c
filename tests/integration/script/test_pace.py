"""Whether texts take as long to say as we think, said by the embedded voice."""

from __future__ import annotations

import pytest

from shared.script import speaking_rate
from tasks.speech.engine import Line
from tasks.speech.espeak import narrate

pytestmark = pytest.mark.services

TEXTS = {
    "en": "A reef begins with a single larva that drifts for weeks before it finds bare rock. Coral grows a centimetre a "
    "year, and the skeletons of thousands of years carry the living skin on top. In 1998 the warm water killed a sixth.",
    "de": "Ein Riff beginnt mit einer einzigen Larve, die wochenlang treibt, bevor sie blanken Fels findet. Korallen "
    "wachsen einen Zentimeter im Jahr, und die Skelette von Jahrtausenden tragen die lebende Haut.",
    "es": "Un arrecife comienza con una sola larva que va a la deriva durante semanas antes de encontrar la roca desnuda.",
    "ru": "Риф начинается с одной личинки, которая неделями дрейфует, прежде чем найдёт голую скалу.",  # noqa: RUF001 - Cyrillic
    "zh": "一片珊瑚礁从一只幼虫开始，它漂流数周，直到找到裸露的岩石。珊瑚每年生长一厘米。",  # noqa: RUF001 - Chinese commas
    "hi": "एक चट्टान एक अकेले लार्वा से शुरू होती है जो नंगी चट्टान मिलने से पहले हफ्तों तक बहता है।",
}


def test_a_text_takes_about_as_long_as_estimated(tmp_path):
    lines = [Line(text, language, tmp_path / f"{language}.wav") for language, text in TEXTS.items()]

    spoken = narrate(lines)

    found = {line.language: speech.samples / speech.rate for line, speech in zip(lines, spoken, strict=True)}
    ratios = {
        language: speaking_rate.estimate_speech_seconds(text) / found[language]
        for language, text in TEXTS.items()
    }
    assert all(0.83 < ratio < 1.2 for ratio in ratios.values()), ratios
