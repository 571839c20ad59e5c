"""Reads the replies of OpenAI-compatible servers: completions, and what a refusal is about. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from shared.errors import BadRequest
from shared.script.schema.loading import parse_strict_json

_THINKING = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```(?:json|JSON)?\s*\n(.*?)```", re.DOTALL)
# Words of a refusal of `response_format`, or of this kind of it.
_FORMAT = re.compile(
    r"response.?format|json.?schema|json.?object|json mode|structured output|guided|grammar|invalid schema|invalid format",
    re.IGNORECASE,
)
_ROLES = re.compile(r"system[ -]?(role|message|prompt)|roles must alternate", re.IGNORECASE)
# Words of a refusal of a prompt that exceeds the model's context.
_TOO_LONG = re.compile(
    r"context_length_exceeded|(maximum|max|model's) context|context (length|window|size)|too many tokens|prompt is too long"
    r"|reduce the length|exceeds? the (available )?context",
    re.IGNORECASE,
)


class UnreadableReply(Exception):
    """The response is no chat completion: HTML, truncated, or of another shape."""


class PromptTooLong(Exception):
    """The prompt exceeds the model's context."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's message. `truncated`: it hit the token limit. `refusal`: why the model declined, in its words."""

    content: str
    tokens: int
    truncated: bool = False
    refusal: str = ""


def parse_reply(body: bytes) -> Reply:
    """Return the message of a chat completion; raise UnreadableReply."""
    try:
        answer = parse_strict_json(body)
    except BadRequest as error:
        raise UnreadableReply("The answer is not JSON.") from error
    choice = _first(answer.get("choices")) if isinstance(answer, dict) else None
    message = choice.get("message") if choice else None
    if not choice or not isinstance(message, dict):
        raise UnreadableReply("The answer is no chat completion.")
    reason = choice.get("finish_reason")
    refused = message.get("refusal") or ("content filter" if reason == "content_filter" else "")
    return Reply(
        _text(message.get("content")), _tokens(answer.get("usage")), reason == "length", str(refused)
    )


def extract_json(content: str) -> Any:
    """Return the JSON document in a model's message: bare, fenced, or with text around it; raise BadRequest."""
    text = _THINKING.sub("", content).strip()
    fenced = _FENCE.search(text)
    start, end = text.find("{"), text.rfind("}")
    around = text[start : end + 1] if 0 <= start < end else ""
    candidates = [each for each in (text, fenced[1] if fenced else "", around) if each]
    problem = BadRequest("The answer is empty.")
    for each in candidates:
        try:
            return parse_strict_json(each.encode("utf-8", "replace"))
        except BadRequest as error:
            problem = error
    raise problem


def is_format_refusal(body: bytes) -> bool:
    """Return whether a refusal is about `response_format`, which not every server supports."""
    return bool(_FORMAT.search(_head(body)))


def is_role_refusal(body: bytes) -> bool:
    """Return whether a refusal is about the system role, which some models' templates lack."""
    return bool(_ROLES.search(_head(body)))


def is_length_refusal(body: bytes) -> bool:
    """Return whether a refusal is about the prompt's length."""
    return bool(_TOO_LONG.search(_head(body)))


def _head(body: bytes) -> str:
    return body[:10_000].decode("utf-8", "replace")


def _first(choices: Any) -> dict[str, Any] | None:
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _text(content: Any) -> str:
    """Return the text of a message: a string, or a list of parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _tokens(usage: Any) -> int:
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if type(total) is int and total > 0 else 0
