"""Reads JSON from a file, stdin or the web, and says at which line and column it is wrong."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

STDIN = "-"
WEB = ("https://", "http://")
MOST_BYTES = 20_000_000  # of a document from the web: a wrong address may lead to a film
SECONDS = 30.0
# What makes a document a job, and no script.
JOB_MEMBERS = frozenset(("script", "brief", "template_id", "script_task_id"))


class Unreadable(click.ClickException):
    """A document cannot be read, or is not what it should be."""

    exit_code = 2


@dataclass(frozen=True)
class Document:
    """A JSON object, the name that its output is called by, and the folder of the media that it names, if it has one."""

    content: dict[str, Any]
    stem: str
    folder: Path | None
    text: str
    name: str

    @property
    def is_job(self) -> bool:
        """Tell whether it is a whole job, and no script."""
        return bool(JOB_MEMBERS & self.content.keys())


def read(source: str) -> Document:
    """Read a JSON object from a path, from an http(s) URL, or from stdin where the source is `-`."""
    if source == STDIN:
        return _document(sys.stdin.buffer.read(), "stdin", "video", None)
    if source.startswith(WEB):
        return _document(fetch(source), source, stem_of_url(source), None)
    path = Path(source)
    return _document(read_file(path), source, path.stem, path.parent)


def _document(text: bytes, name: str, stem: str, folder: Path | None) -> Document:
    return Document(parse_object(text, name), stem, folder, text.decode("utf-8-sig"), name)


def read_file(path: Path) -> bytes:
    """Return a file's bytes, or raise Unreadable."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Unreadable(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise Unreadable(f"{path} is a folder. Give a file.") from None


def parse_object(text: bytes, name: str) -> dict[str, Any]:
    """Return the JSON object that a text is, or raise Unreadable."""
    value = parse(text, name)
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
        raise Unreadable(
            f"{name} holds {kinds.get(type(value), 'a number')}. It must hold a JSON object: {{…}}."
        )
    return value


def parse(text: bytes, name: str) -> Any:
    """Return a JSON value, or raise Unreadable with the line and the column at which it is wrong."""
    if not text.strip():
        raise Unreadable(f"{name} is empty.")
    try:
        return json.loads(text.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise Unreadable(_at(error, name)) from None
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise Unreadable(f"{name}, line {line}: this is not UTF-8. Save it in that encoding.") from None
    except RecursionError:
        raise Unreadable(f"{name} is nested too deeply.") from None


def merged_output(job: Mapping[str, Any], output: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job whose `output` has these members, and otherwise its own."""
    own = job.get("output", {})
    if not isinstance(own, dict):
        raise Unreadable("`output` of the job must be a JSON object.")
    both = {**own, **output}
    return {**job, **({"output": both} if both else {})}


def as_job(document: Document, output: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document as a video job, with `output` put over what it says itself."""
    job = document.content if document.is_job else {"script": document.content}
    return merged_output({"kind": "video", **job}, output)


def fetch(url: str) -> bytes:
    """Return what an address on the web answers, or raise Unreadable."""
    try:
        with httpx.stream("GET", url, timeout=SECONDS, follow_redirects=True) as answer:
            if not answer.is_success:
                raise Unreadable(f"{url} answered {answer.status_code} {answer.reason_phrase}.")
            content = b""
            for block in answer.iter_bytes():
                content += block
                if len(content) > MOST_BYTES:
                    raise Unreadable(
                        f"{url} is larger than {MOST_BYTES // 1_000_000} MB, so it is no script."
                    )
            return content
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreadable(f"{url} cannot be fetched: {error or type(error).__name__}") from error


def stem_of_url(url: str) -> str:
    """Return the name of the file that an address ends with, without its ending."""
    return Path(httpx.URL(url).path).stem or "video"


def _at(error: json.JSONDecodeError, name: str) -> str:
    """Return where JSON is wrong, with the line itself and a mark below the place."""
    line = error.doc.splitlines()[error.lineno - 1] if error.doc.splitlines()[error.lineno - 1 :] else ""
    start = max(0, error.colno - 60)
    shown = line[start : start + 76].replace("\t", " ")
    mark = " " * (error.colno - 1 - start) + "^"
    return f"{name}, line {error.lineno}, column {error.colno}: {_reason(error)}.\n  {shown}\n  {mark}"


def _reason(error: json.JSONDecodeError) -> str:
    """Return what is wrong in words of JSON: Python's own do not name the comma that is one too many."""
    if error.doc[: error.pos].rstrip().endswith(",") and error.doc[error.pos :].lstrip()[:1] in ("}", "]"):
        return "a comma stands before the closing bracket"
    if error.doc[error.pos :].strip() == "":
        return f"the text ends too early ({error.msg})"
    return error.msg[0].lower() + error.msg[1:]
