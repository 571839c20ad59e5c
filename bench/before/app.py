"""Videos from topics, the way it is usually done first: everything happens inside the request.

A working service, plainly written and not made slow on purpose. What makes it the "before" is its design: the request asks
the model, runs ffmpeg and answers when the video is there; SQLite through one connection behind a lock; no index but the
primary key; no cache; an upload is read whole. `gunicorn --threads 8` serves it, as one does who knows that requests wait.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import threading
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask, abort, jsonify, request, send_file
from openai import OpenAI

TABLE = """
CREATE TABLE IF NOT EXISTS videos (
    id TEXT PRIMARY KEY, account TEXT, status TEXT, topic TEXT, script TEXT, path TEXT, created_at TEXT
)
"""
PROMPT = "Write a video script as JSON, with a title, and scenes that have a narration and a text.\n"
COLORS = ("0x0d1b2a", "0x1b6ca8", "0x5a189a", "0x2d6a4f")
PAGE = 50


class Videos:
    """The table of videos, through one connection that all threads share."""

    def __init__(self, path: Path) -> None:
        self.connection = sqlite3.connect(path, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        self.lock = threading.Lock()
        with self.lock, self.connection:
            self.connection.execute(TABLE)

    def add(self, account: str, topic: str, script: Any, path: Path) -> dict[str, Any]:
        """Note a finished video."""
        row = (str(uuid.uuid4()), account, "succeeded", topic, json.dumps(script), str(path), _now())
        with self.lock, self.connection:
            self.connection.execute("INSERT INTO videos VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return self.find(row[0]) or {}

    def find(self, video_id: str) -> dict[str, Any] | None:
        """Return a video, or None."""
        with self.lock:
            row = self.connection.execute("SELECT * FROM videos WHERE id = ?", (video_id,)).fetchone()
        return dict(row) if row else None

    def page(self, account: str) -> list[dict[str, Any]]:
        """Return an account's newest videos."""
        asked = "SELECT * FROM videos WHERE account = ? ORDER BY created_at DESC LIMIT ?"
        with self.lock:
            rows = self.connection.execute(asked, (account, PAGE)).fetchall()
        return [dict(row) for row in rows]

    def note(self, video_id: str, status: str) -> None:
        """Change a video's status."""
        with self.lock, self.connection:
            self.connection.execute("UPDATE videos SET status = ? WHERE id = ?", (status, video_id))


def create_app() -> Flask:
    """Return the service. Where its files are and whom it asks, the environment says."""
    folder = Path(os.environ["BEFORE_FOLDER"])
    model = OpenAI(base_url=os.environ["BEFORE_LLM_URL"], api_key="none")
    videos = Videos(folder / "videos.db")
    app = Flask("before")

    @app.post("/videos")
    def make() -> tuple[Any, int]:
        asked = request.get_json()
        script = write(model, asked)
        path = folder / f"{uuid.uuid4()}.mp4"
        render(script, asked, path)
        return jsonify(videos.add(_account(), asked["topic"], script, path)), 201

    @app.get("/videos")
    def page() -> Any:
        return jsonify(videos.page(_account()))

    @app.get("/videos/<video_id>")
    def show(video_id: str) -> Any:
        return jsonify(videos.find(video_id) or abort(404))

    @app.get("/videos/<video_id>/file")
    def download(video_id: str) -> Any:
        found = videos.find(video_id) or abort(404)
        return send_file(found["path"])

    @app.post("/uploads")
    def upload() -> tuple[Any, int]:
        content = request.get_data()
        digest = hashlib.sha256(content).hexdigest()
        (folder / digest).write_bytes(content)
        return jsonify(id=digest, bytes=len(content)), 201

    return app


def write(model: OpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    """Have the model write the script."""
    answer = model.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": PROMPT + json.dumps(asked)}],
        response_format={"type": "json_object"},
    )
    script: dict[str, Any] = json.loads(answer.choices[0].message.content or "{}")
    return script


def render(script: dict[str, Any], asked: dict[str, Any], target: Path) -> None:
    """Render each scene by a command of its own, then join them."""
    seconds = asked["duration"] / len(script["scenes"])
    clips = []
    for number, scene in enumerate(script["scenes"]):
        clip, words = target.with_suffix(f".{number}.mp4"), target.with_suffix(f".{number}.txt")
        words.write_text(scene["text"][0]["text"])
        color = COLORS[number % len(COLORS)]
        _ffmpeg(
            "-f", "lavfi", "-i", f"color={color}:s=640x360:r=24:d={seconds}",
            "-vf", f"drawtext=fontfile={os.environ['BEFORE_FONT']}:textfile={words}:fontsize=28:fontcolor=white"
            ":x=(w-text_w)/2:y=(h-text_h)/2",
            "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", str(clip),
        )  # fmt: skip
        clips.append(clip)
    listing = target.with_suffix(".list")
    listing.write_text("".join(f"file '{clip}'\n" for clip in clips))
    _ffmpeg("-f", "concat", "-safe", "0", "-i", str(listing), "-c", "copy", str(target))
    for made in (*clips, *target.parent.glob(f"{target.stem}.*.txt"), listing):
        made.unlink()


def _ffmpeg(*arguments: str) -> None:
    subprocess.run([os.environ["BEFORE_FFMPEG"], "-y", "-loglevel", "error", *arguments], check=True)


def _account() -> str:
    return request.headers.get("X-Account", "default")


def _now() -> str:
    return datetime.now(UTC).isoformat()
