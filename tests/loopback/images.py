"""An OpenAI-compatible image server on loopback, which paints each prompt in its own colour."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

from PIL import Image

from tests.loopback.server import Loopback

if TYPE_CHECKING:
    from tests.loopback.server import Asked, Handler


class LoopbackImages(Loopback):
    """The server. `sizes` are those that its model knows; `form` whether it answers with `b64_json` or a `url`."""

    def __init__(self, files: Loopback | None = None) -> None:
        super().__init__()
        self.files = files
        self.form = "b64_json"
        self.sizes = {"1536x1024", "1024x1536", "1024x1024"}
        self.knows_format = True

    @property
    def base_url(self) -> str:
        """The address that clients expect."""
        return f"{self.root}/v1"

    def serve(self, handler: Handler, asked: Asked) -> None:
        if asked.path != "/v1/images/generations":
            handler.answer(404, b"{}")
        elif "response_format" in asked.body and not self.knows_format:
            refuse(handler, "Unknown parameter: 'response_format'.")
        elif asked.body["size"] not in self.sizes:
            refuse(handler, f"Invalid value: '{asked.body['size']}'. Supported sizes are others.")
        else:
            handler.answer(200, json.dumps({"created": 1, "data": [self._one(asked.body)]}).encode())

    def _one(self, body: dict[str, Any]) -> dict[str, str]:
        if self.form == "url" and self.files is not None:
            return {"url": f"{self.files.root}/images/9-{body['size']}.jpg"}
        return {"b64_json": base64.b64encode(painted(body["prompt"], body["size"])).decode()}


def refuse(handler: Handler, words: str) -> None:
    error = {"message": words, "type": "invalid_request_error", "code": None}
    handler.answer(400, json.dumps({"error": error}).encode())


def painted(prompt: str, size: str) -> bytes:
    width, height = (int(part) for part in size.split("x"))
    target = io.BytesIO()
    Image.new("RGB", (width, height), tuple(hashlib.sha256(prompt.encode()).digest()[:3])).save(target, "PNG")
    return target.getvalue()
