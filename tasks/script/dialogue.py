"""The talk with one model about one brief: ask, check, have it mended, and put the answer into a script.

No address, path or filter comes from a model: its form knows none. How it is asked is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import BadRequest, Invalid, ModelRefused, ModelUnavailable, ScriptInvalid
from shared.schemas import placeholders
from shared.schemas.canonical import texts
from shared.schemas.containers import Items
from shared.schemas.draft import draft_schema, structured
from shared.schemas.fields import Words
from shared.schemas.loading import Strict, load
from shared.schemas.script import ScriptSchema
from tasks.script import pace, prompt
from tasks.script.colors import gradients
from tasks.script.outline import Outline
from tasks.script.replies import Reply, said

if TYPE_CHECKING:
    from marshmallow import Schema

    from shared.script import Brief

REPAIRS = 2
TOLERANCE = 0.15  # how far the length may be from the one that was asked for
_DIGESTS = 3  # times that a text is digested before it is cut off

Ask = Callable[[Sequence[dict[str, str]], dict[str, Any]], Reply]
Places = tuple[tuple[str, str], ...]


class PointsSchema(Strict):
    """What matters in a part of a text."""

    points = Items(Words(500), least=1, most=40, required=True)


@dataclass(frozen=True, slots=True)
class _Draft:
    document: dict[str, Any]
    wishes: Places  # what of the brief it does not fulfil
    far: float  # how far its length is from the one asked for


class Dialogue:
    """One brief, one model."""

    def __init__(self, brief: Brief, ask: Ask, *, pictures: bool, context: int) -> None:
        self._brief, self._ask, self._pictures, self._context = brief, ask, pictures, context

    def script(self) -> Outline:
        """Return the script; or raise ScriptInvalid, or what asking raises."""
        schema = draft_schema(pictures=self._pictures)
        messages = prompt.script(self._brief, points=self._points())
        best: _Draft | None = None
        repairs = 0
        while True:
            try:
                reply = self._reply(messages, schema)
            except (ModelUnavailable, ModelRefused, ScriptInvalid):
                if best is None:
                    raise
                break  # a script that could be better is better than none
            try:
                draft = self._checked(reply, schema)
            except Invalid as error:
                if repairs == REPAIRS:
                    break
                repairs += 1
                messages = [*messages[:2], *prompt.again(reply.content, error.args[1])]
                continue
            asked_before = best is not None
            best = min(
                (each for each in (best, draft) if each), key=lambda each: (len(each.wishes), each.far)
            )
            if asked_before or not draft.wishes:
                break
            messages = [*messages[:2], *prompt.again(reply.content, draft.wishes)]
        if best is None:
            raise ScriptInvalid("The language model gave no usable script.")
        return Outline(best.document, tuple(detail for _, detail in best.wishes))

    def _reply(self, messages: Sequence[dict[str, str]], schema: Schema) -> Reply:
        reply = self._ask(messages, structured(schema))
        if reply.refused and not reply.content:
            raise ScriptInvalid("The language model declined to write this script.")
        return reply

    def _checked(self, reply: Reply, schema: Schema) -> _Draft:
        """Return the draft as a script; or raise Invalid with places in the answer."""
        answer = _answer(reply)
        load(schema, answer)
        document = _composed(answer, self._brief)
        load(ScriptSchema(), document)
        wishes, far = _wishes(answer, self._brief)
        return _Draft(document, wishes, far)

    def _points(self) -> list[str]:
        """Return what matters in a source text that is too long for the model, part by part."""
        text = self._brief.source_text or ""
        points: list[str] = []
        for _ in range(_DIGESTS):
            if len(text) <= self._context:
                break
            points = [point for part in _parts(text, self._context) for point in self._digested(part)]
            text = "\n".join(points)
        return _fitting(points, self._context)

    def _digested(self, part: str) -> list[str]:
        schema = PointsSchema()
        messages = prompt.digest(part, self._brief.language)
        for repairs in range(REPAIRS + 1):
            reply = self._reply(messages, schema)
            try:
                return list(load(schema, _answer(reply))["points"])
            except Invalid as error:
                if repairs == REPAIRS:
                    break
                messages = [*messages[:2], *prompt.again(reply.content, error.args[1])]
        raise ScriptInvalid("The language model gave no usable digest of the text.")


def _answer(reply: Reply) -> Any:
    try:
        return said(reply.content)
    except BadRequest as error:
        why = (
            "The answer was cut off: it must be shorter."
            if reply.cut
            else "The answer is not one JSON object."
        )
        raise Invalid("The answer cannot be read.", (("#", why),)) from error


def _composed(answer: dict[str, Any], brief: Brief) -> dict[str, Any]:
    """Put an answer into a script: its words, our form."""
    colors = gradients(len(answer["scenes"]))
    scenes = [_scene(scene, colors[at]) for at, scene in enumerate(answer["scenes"])]
    document = {
        "title": answer["title"],
        "language": brief.language,
        "defaults": {"transition": {"type": "crossfade", "duration": 0.5}},
        "scenes": scenes,
    }
    variables = placeholders.literals(texts(document))
    return {**document, "variables": variables} if variables else document


def _scene(scene: dict[str, Any], colors: list[str]) -> dict[str, Any]:
    gradient = {"type": "gradient", "colors": colors}
    visual = scene.get("visual") or gradient
    if visual["type"] == "stock":
        visual = {**visual, "fallback": gradient}
    written = [
        {**text, "animation": "fade" if text["role"] == "title" else "rise"} for text in scene.get("text", [])
    ]
    return {"narration": scene["narration"], "visual": visual, "text": written}


def _wishes(answer: dict[str, Any], brief: Brief) -> tuple[Places, float]:
    """Return what of the brief a valid answer does not fulfil, and how far its length is off."""
    narrations = [scene["narration"] for scene in answer["scenes"]]
    told = " ".join(texts(answer)).casefold()
    wishes: list[tuple[str, str]] = []
    if brief.scenes and len(narrations) != brief.scenes:
        wishes.append(
            ("#/scenes", f"Has {len(narrations)} scenes, not the {brief.scenes} that were asked for.")
        )
    missing = [word for word in brief.keywords if word.casefold() not in told]
    if missing:
        wishes.append(("#/scenes", f"Does not say: {', '.join(missing)}."))
    seconds = pace.length(narrations)
    far = abs(seconds / brief.duration - 1) if brief.duration else 0.0
    if brief.duration and far > TOLERANCE:
        change = "longer" if seconds < brief.duration else "shorter"
        factor = brief.duration / seconds
        detail = (
            f"Takes about {seconds:.0f} seconds to say, not {brief.duration:g}: all narration together must be "
            f"{change}, {factor:.2f} times what it is."
        )
        wishes.append(("#/scenes", detail))
    return tuple(wishes), far


def _parts(text: str, most: int) -> list[str]:
    """Cut a text into parts, at a paragraph or a space where there is one near the end of each."""
    parts = []
    while len(text) > most:
        cut = max(text.rfind("\n\n", most // 2, most), 0) or max(text.rfind(" ", most // 2, most), 0) or most
        parts.append(text[:cut])
        text = text[cut:].strip()
    return [*parts, text]


def _fitting(points: list[str], most: int) -> list[str]:
    """Leave points out, evenly, until they fit."""
    while sum(map(len, points)) > most:
        points = [point for at, point in enumerate(points) if at % 4 != 3]
    return points
