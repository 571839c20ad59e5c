"""Sends one chat completion to an OpenAI-compatible server, bounded in time and bytes, without retries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from tasks.providers.bounded_http import Limits, Response, bounded_client
from tasks.providers.retry import TransientFailure

if TYPE_CHECKING:
    from openai import OpenAI


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model and its server. Times are in seconds; `context` is the characters of source text sent at once."""

    name: str
    base_url: str
    api_key: str = field(default="", repr=False)
    connect: float = 5.0
    read: float = 60.0
    deadline: float = 180.0
    max_bytes: int = 4 * 1024 * 1024
    context: int = 40_000


def complete(model: ModelConfig, request: dict[str, Any]) -> Response:
    """Return the response to a chat completion, whatever its status; raise TransientFailure where none comes."""
    from openai import APIConnectionError, APIStatusError  # noqa: PLC0415 (13 MB, which a renderer need not hold)

    try:
        with _client(model) as client:
            found = client.chat.completions.with_raw_response.create(**request).http_response
            return Response(found.status_code, found.headers, found.content)
    except APIStatusError as error:
        return Response(error.status_code, error.response.headers, error.response.content)
    except APIConnectionError as error:
        raise TransientFailure("The model's server could not be reached, or broke off.") from error


def _client(model: ModelConfig) -> OpenAI:
    from openai import OpenAI  # noqa: PLC0415 (as above)

    address = urlsplit(model.base_url)
    return OpenAI(
        base_url=address._replace(query="").geturl(),
        api_key=model.api_key or "none",  # the SDK insists on a key, local servers ignore it
        default_query=dict(parse_qsl(address.query)),  # Azure's api-version
        default_headers={"api-key": model.api_key} if address.netloc.endswith(".azure.com") else None,
        max_retries=0,
        http_client=bounded_client(Limits(model.connect, model.read, model.deadline, model.max_bytes)),
    )
