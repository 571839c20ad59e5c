"""One request with its retries: the only place where an answer becomes an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from scenemill.core.retry import retry_after
from scenemill.core.steps import Exchange, sleep
from scenemill.errors import ApiError, Unreachable

if TYPE_CHECKING:
    from scenemill.core.retry import Attempt, Retry
    from scenemill.core.steps import Flow, Request

NOT_FOUND = 404


def send(request: Request, retry: Retry, base_url: str) -> Flow[httpx.Response]:
    """Return the answer to a request, or raise ApiError or Unreachable when retries do not help."""
    attempts = request.attempts or retry.attempts
    for number in range(attempts):
        attempt = yield from _attempt(request)
        if isinstance(attempt, httpx.Response) and _succeeded(request, attempt, number):
            return attempt
        if number + 1 == attempts or not retry.again(attempt, repeatable=request.repeatable):
            break
        yield from sleep(retry.pause(number, attempt))
    if isinstance(attempt, httpx.Response):
        raise api_error(attempt)
    reason = str(attempt) or type(attempt).__name__
    raise Unreachable(f"No answer from {base_url}: {reason}") from attempt


def _attempt(request: Request) -> Flow[Attempt]:
    try:
        response: httpx.Response = yield Exchange(request)
    except httpx.TransportError as error:
        return error
    return response


def _succeeded(request: Request, response: httpx.Response, number: int) -> bool:
    # An earlier attempt deleted it, though its answer got lost.
    deleted = request.method == "DELETE" and response.status_code == NOT_FOUND and number > 0
    return response.status_code < 400 or deleted


def api_error(answer: httpx.Response) -> ApiError:
    """Return the error that an answer stands for, problem document or not."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        problem = {"title": answer.reason_phrase or "Refused"}
    request_id = answer.headers.get("x-request-id", "")
    return ApiError(answer.status_code, problem, request_id=request_id, retry_after=retry_after(answer))
