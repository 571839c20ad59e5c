"""An OpenAI-compatible server on loopback, which writes usable scripts and fails in every way that it is told to.

with LoopbackModel() as server:
    server.then(status(429, headers={"Retry-After": "1"}), says("not JSON"))   # then good ones
    ... server.base_url, server.requests
"""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

from tests.loopback.server import Asked, Loopback

if TYPE_CHECKING:
    from datetime import datetime

    from tests.loopback.server import Behaviour, Handler


@dataclass(frozen=True)
class AskedModel(Asked):
    """One request for a completion."""

    @property
    def brief(self) -> dict[str, Any]:
        """The document in the first message of the user."""
        first = next(each["content"] for each in self.body["messages"] if each["role"] == "user")
        return json.loads(first[first.rfind("\n{") + 1 :])

    @property
    def format(self) -> str:
        """The kind of response format that was asked for."""
        return self.body.get("response_format", {}).get("type", "text")

    @property
    def last(self) -> str:
        """What the last message says."""
        return self.body["messages"][-1]["content"]


class LoopbackModel(Loopback):
    """The server: behaviours are used up in order, then it answers well."""

    notes = AskedModel

    @property
    def base_url(self) -> str:
        """Where it listens, with the path that clients expect."""
        return f"{self.root}/v1"

    def serve(self, handler: Handler, asked: Asked) -> None:
        writes_a_script(handler, asked)


def writes_a_script(handler: Handler, asked: Any) -> None:
    """Answer with a script that fits the brief, or with a digest where one is asked for."""
    says(json.dumps(answer_to(asked), ensure_ascii=False))(handler, asked)


def answer_to(asked: Any) -> dict[str, Any]:
    """Return a good answer: so many scenes and words as the brief says."""
    brief = asked.brief
    if "points" in json.dumps(asked.body.get("response_format", {})):
        words = brief["source_text"].split()
        return {"points": [" ".join(words[at : at + 20]) for at in range(0, min(len(words), 100), 20)]}
    about = brief.get("topic") or (brief.get("points") or [brief["source_text"]])[0][:80]
    number = brief["scenes"] if isinstance(brief["scenes"], int) else 5
    return script(
        " ".join(about.split()),
        number,
        words=brief.get("words") or number * 20,
        say=brief.get("keywords") or [],
    )


def script(about: str, scenes: int, *, words: int, say: list[str]) -> dict[str, Any]:
    """Return a script of so many scenes and about so many words."""
    # A scene's pauses take as long as a word and a half.
    each = max(3, round(words / scenes - 1.5))
    told = ["Every", "reef", "holds", "many", "small", "lives", "which", "build", "slowly", "upward"]
    narrations = [" ".join(told[at % len(told)] for at in range(each)) + "." for _ in range(scenes)]
    narrations[0] = f"{about[:60]}. {narrations[0]}"
    narrations[-1] += "".join(f" {word}." for word in say)
    return {
        "title": about[:80],
        "scenes": [
            {
                "narration": narration,
                "text": [{"text": about[:60] if at == 0 else f"Part {at + 1}", "role": "title" if at == 0 else "lower_third"}],
                "visual": {"type": "gradient", "colors": ["#0d1b2a", "#1b6ca8"]},
            }
            for at, narration in enumerate(narrations)
        ],
    }  # fmt: skip


def says(content: Any, *, finish: str = "stop", usage: bool = True, **message: Any) -> Behaviour:
    """Answer with a completion that says this."""

    def behave(handler: Handler, asked: Asked) -> None:
        handler.answer(200, completion(asked.body.get("model", ""), content, finish, usage=usage, **message))

    return behave


def completion(
    model: str, content: Any, finish: str = "stop", *, usage: bool = True, **message: Any
) -> bytes:
    """Return a chat completion."""
    tokens = {"usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}} if usage else {}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish,
    }
    document = {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [choice],
    }
    return json.dumps({**document, **tokens}).encode()


def status(
    code: int, *, error: str = "no", kind: str = "error", headers: dict[str, str] | None = None
) -> Behaviour:
    """Refuse, as OpenAI words it."""
    body = json.dumps({"error": {"message": error, "type": kind, "code": kind}}).encode()

    def behave(handler: Handler, _: Asked) -> None:
        handler.answer(
            code, body, **{name.replace("-", "_"): value for name, value in (headers or {}).items()}
        )

    return behave


def retry_at(moment: datetime) -> dict[str, str]:
    """Return the Retry-After header as a date."""
    return {"Retry-After": format_datetime(moment, usegmt=True)}


def html(code: int = 200) -> Behaviour:
    """Answer as a proxy's page does."""
    return lambda handler, _: handler.answer(code, b"<html><body>Welcome</body></html>", "text/html")


def hangs(seconds: float) -> Behaviour:
    """Take the request and say nothing for so long."""
    return lambda _, __: time.sleep(seconds)


def hangs_in_the_body(seconds: float) -> Behaviour:
    """Begin an answer, then stop."""

    def behave(handler: Handler, _: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(b'{"choices": [')
        handler.wfile.flush()
        time.sleep(seconds)

    return behave


def drips(seconds: float) -> Behaviour:
    """Send one byte at a time, each soon enough for any read timeout."""

    def behave(handler: Handler, _: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "500000")
        handler.end_headers()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.02)

    return behave


def resets(handler: Handler, _: Asked) -> None:
    """Break the connection off."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut_off(handler: Handler, asked: Asked) -> None:
    """Answer with half of the JSON that HTTP carries."""
    body = completion(asked.body["model"], json.dumps(answer_to(asked)))
    handler.answer(200, body[: len(body) // 2])


def huge(size: int) -> Behaviour:
    """Answer with very much, not saying beforehand how much."""

    def behave(handler: Handler, _: Asked) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        block = b" " * 65_536
        for _at in range(size // len(block)):
            handler.wfile.write(b"10000\r\n" + block + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    return behave


def knows_no(*formats: str) -> Behaviour:
    """Refuse these response formats, as servers do that do not know them, and answer the others."""

    def behave(handler: Handler, asked: Any) -> None:
        if asked.format in formats:
            status(
                400, error=f"response_format {asked.format} is not supported", kind="invalid_request_error"
            )(handler, asked)
        else:
            writes_a_script(handler, asked)

    return behave


def reads(characters: int) -> Behaviour:
    """Refuse what is longer, as servers do whose model cannot read it, and answer the rest."""

    def behave(handler: Handler, asked: Asked) -> None:
        if len(json.dumps(asked.body["messages"], ensure_ascii=False)) > characters:
            words = "This model's maximum context length is 4096 tokens. Please reduce the length of the messages."
            status(400, error=words, kind="context_length_exceeded")(handler, asked)
        else:
            writes_a_script(handler, asked)

    return behave


def knows_no_system(handler: Handler, asked: Asked) -> None:
    """Refuse system messages, as the templates of some models do, and answer what has none."""
    if any(each["role"] == "system" for each in asked.body["messages"]):
        status(400, error="System role not supported")(handler, asked)
    else:
        writes_a_script(handler, asked)
