"""An OpenAI-compatible server that generates pictures (`images/generations`).

Servers differ in the sizes and parameters that they accept; what one rejects is not sent to it again.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.errors import UnsupportedMedia
from shared.media.sniffing import HEAD_BYTES, sniff
from tasks.providers.http_client import Provider, ProviderConfig, Request, RequestRefused, UnreadableResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.settings import LanguageModel
    from tasks.pictures.stock_apis import Orientation
    from tasks.providers.bounded_http import Response

log = logging.getLogger(__name__)

MAX_RESPONSE_BYTES = 48 * 1024 * 1024
# Tried in this order: sizes of the newest models, of the ones before, and the one that all accept.
SIZES = {
    "landscape": ("1536x1024", "1792x1024", "1024x1024"),
    "portrait": ("1024x1536", "1024x1792", "1024x1024"),
    "square": ("1024x1024", "1024x1024", "1024x1024"),
}
_SIZE = re.compile(r"size|dimension|resolution|width|height", re.IGNORECASE)
_FORMAT = re.compile(r"response.?format", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class GeneratedImage:
    """A generated picture: its content, or its URL."""

    content: bytes | None = None
    url: str | None = None


class ImageServer:
    """One server and model, and the sizes and parameters that this process found it to reject."""

    def __init__(self, model: LanguageModel, *, provider: Provider | None = None) -> None:
        self.model = model
        headers = {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}
        # Generating a picture takes up to a minute or two.
        address = ProviderConfig("The image server", model.base_url, headers, read=120.0, deadline=180.0)
        self.provider = provider or Provider(address)
        self._size_index = 0
        self._sends_format = True

    def generate(self, prompt: str, shape: Orientation, *, stop: Callable[[], bool]) -> GeneratedImage:
        """Return a picture; raise RequestRefused, Unavailable or Stopped."""
        while True:
            size, sends_format = self._size_index, self._sends_format
            try:
                return self.provider.call(self._request(prompt, shape), _read_image, stop=stop)
            except RequestRefused as error:
                if sends_format and _FORMAT.search(error.body_start):
                    self._sends_format = False
                elif size + 1 < len(SIZES[shape]) and _is_size_refusal(error):
                    self._size_index = size + 1
                else:
                    raise
                log.info(
                    "image_request_simplified", extra={"model": self.model.model, "size": self._size_index}
                )

    def _request(self, prompt: str, shape: Orientation) -> Request:
        body: dict[str, Any] = {
            "model": self.model.model,
            "prompt": prompt,
            "n": 1,
            "size": SIZES[shape][self._size_index],
        }
        if self._sends_format:
            body["response_format"] = "b64_json"
        return Request("POST", "/images/generations", json=body, max_bytes=MAX_RESPONSE_BYTES)


def _is_size_refusal(error: RequestRefused) -> bool:
    return error.status in (400, 422) and bool(_SIZE.search(error.body_start))


def _read_image(answer: Response) -> GeneratedImage:
    try:
        one = json.loads(answer.body)["data"][0]
        if encoded := one.get("b64_json"):
            content = base64.b64decode(encoded, validate=True)
            if sniff(content[:HEAD_BYTES]).kind == "image":
                return GeneratedImage(content=content)
        elif isinstance(one.get("url"), str):
            return GeneratedImage(url=one["url"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, binascii.Error) as error:
        raise UnreadableResponse("The answer is no picture.") from error
    except (RecursionError, UnsupportedMedia) as error:
        raise UnreadableResponse("The answer is no picture.") from error
    raise UnreadableResponse("The answer is no picture.")
