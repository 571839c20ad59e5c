"""The script as a client writes it, as a model answers it, and as the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import ValidationError, post_load, validates_schema

from shared.script.schema import placeholders
from shared.script.schema.containers import Items, Object, Pairs, StringOr, Variant
from shared.script.schema.fields import Checked, Choice, Flag, Number, Pattern, Words
from shared.script.schema.loading import Strict
from shared.script.schema.resolve import resolve
from shared.script.schema.sources import Source
from shared.script.schema.visuals import FIT, MOTION, Visual
from shared.script.values import (
    Animation,
    CaptionPosition,
    Captions,
    CaptionStyle,
    Corner,
    ImageOverlay,
    Music,
    Role,
    Script,
    Text,
    TransitionType,
)  # fmt: skip
from shared.themes import theme_names

MAX_SCENES = 500
MAX_NARRATION = 5000
MAX_TEXT = 1000
MAX_TITLE = 200
MAX_VARIABLES = 10_000
_SECONDS = (0, 86_400)  # a day: longer than any video here


class Value(Checked):
    """A variable's value: a string or a number."""

    def check(self, value: Any) -> str:
        """Return the value as it is written into a text."""
        if not placeholders.is_value(value):
            raise ValidationError("Must be a string or a number.")
        return Words(MAX_NARRATION, least=0).check(placeholders.written(value))

    def described(self, _: Any) -> dict[str, Any]:
        """Describe both."""
        return {"type": ["string", "number"], "maxLength": MAX_NARRATION}


class Language(Pattern):
    """A BCP 47 tag."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*",
            "Must be a language tag such as en or pt-BR.",
            most=35,
            **kwargs,
        )


class Theme(Choice):
    """A theme's name, or the placeholder that stands for it."""

    def check(self, value: Any) -> Any:
        """Fill first."""
        return super().check(placeholders.fill(value, MAX_TITLE) if isinstance(value, str) else value)

    def described(self, converter: Any) -> dict[str, Any]:
        """Describe both."""
        pattern = rf"^\{{\{{{placeholders.NAME}\}}\}}$"
        return {"anyOf": [super().described(converter), {"type": "string", "pattern": pattern}]}


class VoiceSchema(Strict):
    """Who speaks."""

    name = Pattern(
        r"[A-Za-z0-9][A-Za-z0-9_.+:/ -]*",
        "Must be a name from GET /v1/voices, or none.",
        most=100,
        template=True,
    )
    speed = Number(0.5, 2)


class NarrationSchema(Strict):
    """What is said. With `src` it is the client's own recording, and `text` captions it."""

    text = Words(MAX_NARRATION, least=0, template=True, default="")
    voice = Object(VoiceSchema, default=None)
    src = Source(default=None)

    @post_load
    def _says_something(self, data: dict[str, Any], **_: Any) -> dict[str, Any] | None:
        """Take a blank text for no narration at all, as a filled-in template may end up with one."""
        return data if data["src"] or data["text"].strip() else None


class TextSchema(Strict):
    """Words on the picture; times are seconds from the start of the scene, or for an overlay of the video."""

    text = Words(MAX_TEXT, template=True, required=True)
    role = Choice(get_args(Role), default="title")
    start = Number(*_SECONDS, default=0.0)
    end = Number(*_SECONDS, default=None)
    animation = Choice(get_args(Animation), default="none")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Text:
        _refuse_backwards(data)
        return Text(**data)


class TextOverlaySchema(TextSchema):
    """Words over the whole video."""

    type = Choice(["text"], default="text")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Text:
        _refuse_backwards(data)
        return Text(**{name: value for name, value in data.items() if name != "type"})


class ImageOverlaySchema(Strict):
    """A picture over the whole video, such as a logo; `width` is a part of the frame's."""

    type = Choice(["image"], required=True)
    src = Source(required=True)
    position = Choice(get_args(Corner), default="top_right")
    width = Number(0.01, 1, default=0.12)
    opacity = Number(0, 1, default=1.0)
    start = Number(*_SECONDS, default=0.0)
    end = Number(*_SECONDS, default=None)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ImageOverlay:
        _refuse_backwards(data)
        return ImageOverlay(**{name: value for name, value in data.items() if name != "type"})


class TransitionSchema(Strict):
    """How the picture comes into a scene."""

    type = Choice(get_args(TransitionType), required=True)
    duration = Number(0.1, 2)

    @post_load
    def _check(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if data["type"] == "cut" and "duration" in data:
            raise ValidationError({"duration": ["A cut has no duration."]})
        return data


class CaptionsSchema(Strict):
    """How speech is captioned on the picture."""

    style = Choice(get_args(CaptionStyle), default="lines")
    position = Choice(get_args(CaptionPosition), default="bottom")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Captions:
        return Captions(**data)


class MusicSchema(Strict):
    """Sound under the whole video, looped or cut to its length."""

    src = Source(required=True)
    volume = Number(0, 1, default=0.4)
    duck = Flag(default=True)
    fade_in = Number(0, 30, default=0.0)
    fade_out = Number(0, 30, default=2.0)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Music:
        return Music(**data)


class DefaultsSchema(Strict):
    """What holds for each scene that does not say otherwise."""

    voice = Object(VoiceSchema)
    transition = Object(TransitionSchema)
    motion = Choice(MOTION, about="For pictures; a clip moves by itself.")
    fit = Choice(FIT)
    pad_before = Number(0, 10, about="Silence before a scene's narration, in seconds.")
    pad_after = Number(0, 10)
    silent_duration = Number(0.2, 600, about="How long a scene is that neither speaks nor names a duration.")


class SceneSchema(Strict):
    """One scene."""

    id = Pattern(r"[a-z0-9_-]{1,64}", "Must be 1 to 64 of a-z, 0-9, _ and -.", most=64)
    narration = StringOr(NarrationSchema, "text", default=None)
    visual = Visual(default=None)
    text = Items(Object(TextSchema), most=20, default=())
    duration = Number(
        0.2, 600, template=True, default=None, about="Seconds; a minimum where the scene speaks."
    )
    transition = Object(TransitionSchema, about="Into this scene; the first one has none.")
    pad_before = Number(0, 10)
    pad_after = Number(0, 10)
    silent_duration = Number(0.2, 600)
    enabled = Flag(default=True)


class ScriptSchema(Strict):
    """A script: what is told and shown, scene by scene."""

    title = Words(MAX_TITLE, least=0, template=True, one_line=True, default="")
    language = Language(template=True, default="en")
    theme = Theme(theme_names, default="slate")
    variables = Pairs(
        Pattern(placeholders.NAME, "Must be named by 1 to 64 of a-z, A-Z, 0-9, _ and -."), Value(),
        most=MAX_VARIABLES, about="`{{name}}` in any text, src, query or prompt stands for the value.",
    )  # fmt: skip
    defaults = Object(DefaultsSchema)
    captions = Object(CaptionsSchema)
    music = Object(MusicSchema, default=None)
    overlays = Items(
        Variant("type", lambda: {"text": TextOverlaySchema, "image": ImageOverlaySchema}, otherwise="text"),
        most=50, default=(), about="Over the whole video; later in the list lies on top.",
    )  # fmt: skip
    scenes = Items(Object(SceneSchema), least=1, most=MAX_SCENES, required=True)

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load with the script's own variables known to its texts."""
        with placeholders.known(data.get("variables") if isinstance(data, dict) else None):
            return super().load(data, **kwargs)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_scenes(self, _: Any, original: Any, **__: Any) -> None:
        """Check what no scene can know by itself; the original keeps the places that wrong scenes have."""
        scenes = original.get("scenes") if isinstance(original, dict) else None
        if not isinstance(scenes, list) or not 1 <= len(scenes) <= MAX_SCENES:
            return
        ids = [scene.get("id") if isinstance(scene, dict) else None for scene in scenes]
        first = {name: at for at, name in reversed(list(enumerate(ids))) if isinstance(name, str)}
        errors = {
            at: {"id": ["Another scene has this id."]}
            for at, name in enumerate(ids)
            if isinstance(name, str) and first[name] != at
        }
        if errors:
            raise ValidationError({"scenes": errors})
        if all(isinstance(scene, dict) and scene.get("enabled") is False for scene in scenes):
            raise ValidationError({"scenes": ["At least one scene must be enabled."]})

    @post_load
    def _resolve(self, data: dict[str, Any], **_: Any) -> Script:
        return resolve(data)


def _refuse_backwards(data: dict[str, Any]) -> None:
    if data["end"] is not None and data["end"] <= data["start"]:
        raise ValidationError({"end": ["Must be after start."]})
