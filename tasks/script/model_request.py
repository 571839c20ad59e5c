"""The SDK, and nothing that decides: one request to an OpenAI-compatible server, bounded in time and bytes, never repeated."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from openai import APIConnectionError, APIStatusError, OpenAI

from tasks.script.model_replies import ModelBusy, Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.script.model import ModelConfig


def complete(model: ModelConfig, request: dict[str, Any]) -> Response:
    """Ask for a chat completion, and return what comes; or raise Busy where nothing does.

    The connection is this call's own: one that was kept idle may be gone, or be another process's after a fork.
    """
    try:
        with _client(model) as client:
            found = client.chat.completions.with_raw_response.create(**request).http_response
            return Response(found.status_code, found.headers, found.content)
    except APIStatusError as error:
        return Response(error.status_code, error.response.headers, error.response.content)
    except APIConnectionError as error:
        raise ModelBusy("The model's server could not be reached, or broke off.") from error


def _client(model: ModelConfig) -> OpenAI:
    address = urlsplit(model.base_url)
    return OpenAI(
        base_url=address._replace(query="").geturl(),
        api_key=model.api_key or "none",  # local servers want none, and the SDK wants one
        default_query=dict(parse_qsl(address.query)),  # Azure's api-version
        default_headers={"api-key": model.api_key} if address.netloc.endswith(".azure.com") else None,
        max_retries=0,
        http_client=httpx2.Client(
            transport=_Bounded(model),
            timeout=httpx2.Timeout(model.read, connect=model.connect),
            headers={"Accept-Encoding": "identity"},
            trust_env=False,
        ),
    )


class _Bounded(httpx2.BaseTransport):
    """Reads no more of an answer than the model's limits allow. What is packed is not unpacked."""

    def __init__(self, model: ModelConfig) -> None:
        self._model = model
        self._transport = httpx2.HTTPTransport(trust_env=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        until = time.monotonic() + self._model.deadline
        response = self._transport.handle_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise httpx2.ReadError("The answer is packed.", request=request)
        body = _Body(response.stream, self._model.most_bytes, until, request)
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=body, extensions=response.extensions
        )

    def close(self) -> None:
        self._transport.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Any, most: int, until: float, request: httpx2.Request) -> None:
        self._stream, self._most, self._until, self._request = stream, most, until, request

    def __iter__(self) -> Iterator[bytes]:
        seen = 0
        for chunk in self._stream:
            seen += len(chunk)
            if seen > self._most:
                raise httpx2.ReadError("The answer is too long.", request=self._request)
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("The answer takes too long.", request=self._request)
            yield chunk

    def close(self) -> None:
        self._stream.close()
