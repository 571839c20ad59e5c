"""The search APIs of the stock providers: requests, and how to read their responses. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tasks.providers.http_client import Request, UnreadableResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tasks.providers.bounded_http import Response

Kind = Literal["photos", "clips"]
Orientation = Literal["landscape", "portrait", "square"]
PER_PAGE = 30
MAX_RESPONSE_BYTES = 2 * 1024 * 1024
MAX_QUERY_LENGTH = 100  # Pixabay rejects longer ones


@dataclass(frozen=True, slots=True)
class StockQuery:
    """A search: words, media kind, and the output's size in pixels."""

    query: str
    kind: Kind
    width: int
    height: int

    @property
    def orientation(self) -> Orientation:
        """The output's orientation."""
        if self.width == self.height:
            return "square"
        return "landscape" if self.width > self.height else "portrait"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture or clip at the URL of its best size, with its author for the credits."""

    provider: str
    number: str
    kind: Literal["image", "video"]
    url: str
    width: int
    height: int
    page: str
    author: str
    author_url: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the cache."""
        return asdict(self)

    def covers(self, need: StockQuery) -> bool:
        """Return whether it fills the output without being enlarged."""
        return self.width >= need.width and self.height >= need.height


class StockAPI(Protocol):
    """The API of one stock provider."""

    name: str

    def request(self, need: StockQuery) -> Request:
        """Return the request of a search."""
        ...

    def read(self, need: StockQuery) -> Callable[[Response], list[Candidate]]:
        """Return the function that reads the response, which raises UnreadableResponse."""
        ...


@dataclass(frozen=True, slots=True)
class _Size:
    url: str
    width: int
    height: int


class Pexels:
    """https://www.pexels.com/api/documentation. The key is sent in a header."""

    name = "Pexels"

    def request(self, need: StockQuery) -> Request:
        """Return the request of a search."""
        path = "/v1/search" if need.kind == "photos" else "/videos/search"
        params = {"query": need.query, "orientation": need.orientation, "per_page": str(PER_PAGE)}
        return Request("GET", path, params=params, max_bytes=MAX_RESPONSE_BYTES)

    def read(self, need: StockQuery) -> Callable[[Response], list[Candidate]]:
        """Return the function that reads photos or clips."""
        if need.kind == "photos":
            return lambda answer: _read_candidates(answer, "photos", lambda one: self._photo(one, need))
        return lambda answer: _read_candidates(answer, "videos", lambda one: self._clip(one, need))

    def _photo(self, one: Mapping[str, Any], need: StockQuery) -> Candidate:
        width, height = int(one["width"]), int(one["height"])
        source = one["src"]
        sizes = [_Size(source["original"], width, height)]
        if "large2x" in source:  # fits 1880 x 1300, and is a tenth of the original's bytes
            sizes.append(_scale_into(source["large2x"], width, height, (1880, 1300)))
        best = _best_size(sizes, need)
        return Candidate(
            self.name, f"photo-{one['id']}", "image", best.url, best.width, best.height,
            one["url"], one["photographer"], one.get("photographer_url") or "",
        )  # fmt: skip

    def _clip(self, one: Mapping[str, Any], need: StockQuery) -> Candidate:
        files = [each for each in one["video_files"] if each.get("file_type") == "video/mp4"]
        best = _best_size(
            [_Size(each["link"], int(each["width"]), int(each["height"])) for each in files], need
        )
        user = one.get("user") or {}
        return Candidate(
            self.name, f"video-{one['id']}", "video", best.url, best.width, best.height,
            one["url"], user.get("name") or "", user.get("url") or "",
        )  # fmt: skip


class Pixabay:
    """https://pixabay.com/api/docs. The key is a query parameter: it must not reach a log or a cache key."""

    name = "Pixabay"

    def __init__(self, key: str) -> None:
        self._key = key

    def request(self, need: StockQuery) -> Request:
        """Return the request of a search."""
        orientation = {"landscape": "horizontal", "portrait": "vertical", "square": "all"}[need.orientation]
        params = {
            "key": self._key,
            "q": need.query[:MAX_QUERY_LENGTH],
            "safesearch": "true",
            "per_page": str(PER_PAGE),
        }
        if need.kind == "clips":
            return Request("GET", "/videos/", params=params, max_bytes=MAX_RESPONSE_BYTES)
        params |= {"image_type": "photo", "orientation": orientation}
        return Request("GET", "/", params=params, max_bytes=MAX_RESPONSE_BYTES)

    def read(self, need: StockQuery) -> Callable[[Response], list[Candidate]]:
        """Return the function that reads photos or clips."""
        make = self._photo if need.kind == "photos" else self._clip
        return lambda answer: _read_candidates(answer, "hits", lambda one: make(one, need))

    def _photo(self, one: Mapping[str, Any], need: StockQuery) -> Candidate:
        width, height = int(one["imageWidth"]), int(one["imageHeight"])
        sizes = [_scale_into(one["largeImageURL"], width, height, (1280, 1280))]
        if one.get("fullHDURL"):  # only accounts that Pixabay approved get these two
            sizes.append(_scale_into(one["fullHDURL"], width, height, (1920, 1920)))
        if one.get("imageURL"):
            sizes.append(_Size(one["imageURL"], width, height))
        return self._candidate(one, "image", _best_size(sizes, need))

    def _clip(self, one: Mapping[str, Any], need: StockQuery) -> Candidate:
        sizes = [
            _Size(each["url"], int(each["width"]), int(each["height"]))
            for each in one["videos"].values()
            if each.get("url")
        ]
        return self._candidate(one, "video", _best_size(sizes, need))

    def _candidate(self, one: Mapping[str, Any], kind: Literal["image", "video"], best: _Size) -> Candidate:
        user, number = str(one.get("user") or ""), one.get("user_id")
        author_url = f"https://pixabay.com/users/{user}-{number}/" if user and number else ""
        return Candidate(
            self.name, f"{kind}-{one['id']}", kind, best.url, best.width, best.height,
            one["pageURL"], user, author_url,
        )  # fmt: skip


def rank_candidates(candidates: Iterable[Candidate], need: StockQuery) -> list[Candidate]:
    """Return candidates of the output's orientation and sufficient size first, each group in the provider's order."""

    def rank(one: Candidate) -> tuple[bool, bool]:
        crossed = (one.width > one.height) != (need.width > need.height)
        return need.orientation != "square" and crossed, not one.covers(need)

    return sorted(candidates, key=rank)


def _read_candidates(
    answer: Response, name: str, make: Callable[[Mapping[str, Any]], Candidate]
) -> list[Candidate]:
    """Return the candidates that the response lists; entries of another shape are skipped."""
    try:
        document = json.loads(answer.body)
        listed = document[name]
        entries = [one for one in listed if isinstance(one, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnreadableResponse("The answer is no search result.") from error
    found = []
    for one in entries:
        try:
            candidate = make(one)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError):
            continue
        if _is_complete(candidate):
            found.append(candidate)
    return found


def _is_complete(candidate: Candidate) -> bool:
    words = (candidate.url, candidate.page, candidate.author, candidate.author_url)
    return all(isinstance(each, str) for each in words) and min(candidate.width, candidate.height) > 0


def _scale_into(url: str, width: int, height: int, box: tuple[int, int]) -> _Size:
    """Return the size of a picture scaled down into a box; it is never enlarged."""
    factor = min(1.0, box[0] / width, box[1] / height)
    return _Size(url, int(width * factor), int(height * factor))


def _best_size(sizes: list[_Size], need: StockQuery) -> _Size:
    """Return the smallest size that fills the output, else the largest."""
    ordered = sorted(sizes, key=lambda size: size.width * size.height)
    return next(
        (size for size in ordered if size.width >= need.width and size.height >= need.height), ordered[-1]
    )
