"""The schema of a script: as a client writes it, a model answers it, and the OpenAPI document shows it."""

from __future__ import annotations

from typing import Any, get_args

from marshmallow import ValidationError, post_load, validates_schema

from shared.script.schema import placeholders
from shared.script.schema.containers import (
    DiscriminatedObject,
    StrictList,
    StrictMapping,
    StrictObject,
    StringOrObject,
)
from shared.script.schema.fields import (
    Choice,
    PatternString,
    StrictBoolean,
    StrictField,
    StrictNumber,
    StrictString,
)
from shared.script.schema.loading import StrictSchema
from shared.script.schema.resolve import resolve_script
from shared.script.schema.sources import SourceField
from shared.script.schema.visuals import FIT, MOTION, VisualField
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
_SECONDS = (0, 86_400)  # a day: longer than any video


class VariableValueField(StrictField):
    """A variable's value: a string or a number."""

    def check(self, value: Any) -> str:
        """Return the value as it appears in a text."""
        if not placeholders.is_variable_value(value):
            raise ValidationError("Must be a string or a number.")
        return StrictString(MAX_NARRATION, minimum=0).check(placeholders.variable_text(value))

    def json_schema(self, _: Any) -> dict[str, Any]:
        """Return the JSON Schema of both."""
        return {"type": ["string", "number"], "maxLength": MAX_NARRATION}


class LanguageField(PatternString):
    """A BCP 47 tag."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*",
            "Must be a language tag such as en or pt-BR.",
            maximum=35,
            **kwargs,
        )


class ThemeField(Choice):
    """A theme's name, or a placeholder for it."""

    def check(self, value: Any) -> Any:
        """Fill the placeholder, then check the name."""
        return super().check(
            placeholders.fill_placeholders(value, MAX_TITLE) if isinstance(value, str) else value
        )

    def json_schema(self, converter: Any) -> dict[str, Any]:
        """Return the JSON Schema of both."""
        pattern = rf"^\{{\{{{placeholders.NAME}\}}\}}$"
        return {"anyOf": [super().json_schema(converter), {"type": "string", "pattern": pattern}]}


class VoiceSchema(StrictSchema):
    """Who speaks, and how fast."""

    name = PatternString(
        r"[A-Za-z0-9][A-Za-z0-9_.+:/ -]*",
        "Must be a name from GET /v1/voices, or none.",
        maximum=100,
        placeholders_allowed=True,
    )
    speed = StrictNumber(0.5, 2)


class NarrationSchema(StrictSchema):
    """What is said. With `src` the client's own recording plays, and `text` captions it."""

    text = StrictString(MAX_NARRATION, minimum=0, placeholders_allowed=True, default="")
    voice = StrictObject(VoiceSchema, default=None)
    src = SourceField(default=None)

    @post_load
    def _says_something(self, data: dict[str, Any], **_: Any) -> dict[str, Any] | None:
        """Load a blank text as no narration: a filled-in template may have one."""
        return data if data["src"] or data["text"].strip() else None


class TextSchema(StrictSchema):
    """Text on the picture. Times are seconds from the start of the scene, in an overlay from the start of the video."""

    text = StrictString(MAX_TEXT, placeholders_allowed=True, required=True)
    role = Choice(get_args(Role), default="title")
    start = StrictNumber(*_SECONDS, default=0.0)
    end = StrictNumber(*_SECONDS, default=None)
    animation = Choice(get_args(Animation), default="none")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Text:
        _refuse_backwards(data)
        return Text(**data)


class TextOverlaySchema(TextSchema):
    """Text over the whole video."""

    type = Choice(["text"], default="text")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Text:
        _refuse_backwards(data)
        return Text(**{name: value for name, value in data.items() if name != "type"})


class ImageOverlaySchema(StrictSchema):
    """A picture over the whole video, such as a logo. `width` is a fraction of the frame's width."""

    type = Choice(["image"], required=True)
    src = SourceField(required=True)
    position = Choice(get_args(Corner), default="top_right")
    width = StrictNumber(0.01, 1, default=0.12)
    opacity = StrictNumber(0, 1, default=1.0)
    start = StrictNumber(*_SECONDS, default=0.0)
    end = StrictNumber(*_SECONDS, default=None)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ImageOverlay:
        _refuse_backwards(data)
        return ImageOverlay(**{name: value for name, value in data.items() if name != "type"})


class TransitionSchema(StrictSchema):
    """The transition into a scene."""

    type = Choice(get_args(TransitionType), required=True)
    duration = StrictNumber(0.1, 2)

    @post_load
    def _check(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if data["type"] == "cut" and "duration" in data:
            raise ValidationError({"duration": ["A cut has no duration."]})
        return data


class CaptionsSchema(StrictSchema):
    """How captions look and where they are."""

    style = Choice(get_args(CaptionStyle), default="lines")
    position = Choice(get_args(CaptionPosition), default="bottom")

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Captions:
        return Captions(**data)


class MusicSchema(StrictSchema):
    """Music under the whole video, looped or cut to its length."""

    src = SourceField(required=True)
    volume = StrictNumber(0, 1, default=0.4)
    duck = StrictBoolean(default=True)
    fade_in = StrictNumber(0, 30, default=0.0)
    fade_out = StrictNumber(0, 30, default=2.0)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Music:
        return Music(**data)


class DefaultsSchema(StrictSchema):
    """Values for every scene that does not have its own."""

    voice = StrictObject(VoiceSchema)
    transition = StrictObject(TransitionSchema)
    motion = Choice(MOTION, description="Camera motion of pictures; clips are shown as they are.")
    fit = Choice(FIT)
    pad_before = StrictNumber(0, 10, description="Silence before a scene's narration, in seconds.")
    pad_after = StrictNumber(0, 10)
    silent_duration = StrictNumber(
        0.2, 600, description="Seconds of a scene with neither narration nor a duration."
    )


class SceneSchema(StrictSchema):
    """A scene: its narration, visual and texts."""

    id = PatternString(r"[a-z0-9_-]{1,64}", "Must be 1 to 64 of a-z, 0-9, _ and -.", maximum=64)
    narration = StringOrObject(NarrationSchema, "text", default=None)
    visual = VisualField(default=None)
    text = StrictList(StrictObject(TextSchema), maximum=20, default=())
    duration = StrictNumber(
        0.2,
        600,
        placeholders_allowed=True,
        default=None,
        description="Seconds; the minimum in a scene with narration.",
    )
    transition = StrictObject(
        TransitionSchema, description="The transition into this scene; the first scene has none."
    )
    pad_before = StrictNumber(0, 10)
    pad_after = StrictNumber(0, 10)
    silent_duration = StrictNumber(0.2, 600)
    enabled = StrictBoolean(default=True)


class ScriptSchema(StrictSchema):
    """A script: what a video says and shows, scene by scene."""

    title = StrictString(MAX_TITLE, minimum=0, placeholders_allowed=True, one_line=True, default="")
    language = LanguageField(placeholders_allowed=True, default="en")
    theme = ThemeField(theme_names, default="slate")
    variables = StrictMapping(
        PatternString(placeholders.NAME, "Must be named by 1 to 64 of a-z, A-Z, 0-9, _ and -."), VariableValueField(),
        maximum=MAX_VARIABLES, description="`{{name}}` in any text, src, query or prompt is replaced by the value.",
    )  # fmt: skip
    defaults = StrictObject(DefaultsSchema)
    captions = StrictObject(CaptionsSchema)
    music = StrictObject(MusicSchema, default=None)
    overlays = StrictList(
        DiscriminatedObject("type", lambda: {"text": TextOverlaySchema, "image": ImageOverlaySchema}, default_type="text"),
        maximum=50, default=(), description="Text and pictures over the whole video; later ones are on top.",
    )  # fmt: skip
    scenes = StrictList(StrictObject(SceneSchema), minimum=1, maximum=MAX_SCENES, required=True)

    def load(self, data: Any, **kwargs: Any) -> Any:
        """Load with the script's own variables in scope."""
        with placeholders.use_variables(data.get("variables") if isinstance(data, dict) else None):
            return super().load(data, **kwargs)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def _check_scenes(self, _: Any, original: Any, **__: Any) -> None:
        """Check what spans scenes, such as ids; `original` still has the places of scenes with errors."""
        # From the original: marshmallow drops scenes with errors, and the indexes of those after them would shift.
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
        return resolve_script(data)


def _refuse_backwards(data: dict[str, Any]) -> None:
    if data["end"] is not None and data["end"] <= data["start"]:
        raise ValidationError({"end": ["Must be after start."]})
