"""Every setting, once: its name, its type and why it has its value. Only this module reads the environment."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """An OpenAI-compatible endpoint and the model to ask for there."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


class Settings(BaseSettings):
    """What may differ from one installation to the next, from `SCENEMILL_…`. Durations are seconds."""

    model_config = SettingsConfigDict(env_prefix="SCENEMILL_", frozen=True, extra="ignore")

    database_url: str
    broker_url: str
    redis_url: str
    storage_url: str
    work_dir: Path = Path(tempfile.gettempdir()) / "scenemill"
    log_level: str = "INFO"
    ffmpeg: str | None = None

    # A lease outlives three missed heartbeats; a heartbeat also brings a cancel back within two seconds.
    lease: timedelta = timedelta(seconds=30)
    heartbeat: timedelta = timedelta(seconds=1)
    sweep: timedelta = timedelta(seconds=2)
    # How long a published message may stay unclaimed before it counts as lost (Redis loses some).
    republish: timedelta = timedelta(seconds=60)
    max_attempts: int = Field(default=5, ge=1)
    retry_base: timedelta = timedelta(seconds=2)
    retry_cap: timedelta = timedelta(minutes=10)

    # One ffmpeg: the longest that it may run, and that it may stand still.
    render_wall: timedelta = timedelta(minutes=30)
    render_stall: timedelta = timedelta(seconds=60)
    # A worker that is told to end lets what runs go on for so long, then hands it back uncharged.
    drain: timedelta = timedelta(seconds=10)
    render_threads: int = 0  # 0: as many as the machine has cores, shared by the worker's slots

    max_body: int = 16 * 1024 * 1024
    max_asset: int = 2 * 1024**3
    max_batch: int = 1000
    max_queued: int = 100_000  # over it a job is refused with 503 rather than kept waiting for ever
    rate_limit: str = "600/minute"  # of an account
    address_rate_limit: str = "1200/minute"  # of an address, whoever calls from there
    keep_artifacts: timedelta | None = None
    # What one account of weight 1 may have at the workers: unclaimed messages for each queue, and jobs begun.
    account_unclaimed: int = 4
    account_running: int = 32
    # What is rendered and spoken is kept up to these sizes in bytes, the least recently used goes first.
    segment_store: int = 20 * 1024**3
    speech_store: int = 2 * 1024**3
    # What one of each costs, in any one currency: a thousand tokens, a thousand spoken characters, an image, a second.
    price_tokens: float = 0.0
    price_characters: float = 0.0
    price_images: float = 0.0
    price_render_seconds: float = 0.0
    # Answers of models and providers: how long they are remembered, and how large one may be.
    cache_ttl: timedelta = timedelta(days=7)
    cache_value: int = 1024 * 1024
    idempotency_ttl: timedelta = timedelta(hours=24)

    database_pool: int = 10
    statement_timeout: timedelta = timedelta(seconds=15)
    lock_timeout: timedelta = timedelta(seconds=3)

    worker_metrics_port: int = 0  # 0: no endpoint

    # Addresses that clients name must be public, unless whoever runs this allows others.
    allow_private_addresses: bool = False
    ca_file: str | None = None  # instead of the system's certificate authorities

    # An OpenAI-compatible endpoint; several, separated by commas, are tried in their order.
    llm_base_url: str = ""
    llm_api_key: SecretStr = SecretStr("")
    llm_model: str = ""

    def llm_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the endpoints that are named, in order. The last key or model serves all that have none of their own."""
        urls, models = _listed(self.llm_base_url), _listed(self.llm_model)
        keys = _listed(self.llm_api_key.get_secret_value()) or [""]
        if not urls or not models:
            return ()
        return tuple(
            LanguageModel(url, models[min(at, len(models) - 1)], keys[min(at, len(keys) - 1)])
            for at, url in enumerate(urls)
        )

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """Take "2.5" as seconds: pydantic does so for numbers, and the environment has only text."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if kind in (timedelta, timedelta | None) and isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                return value  # ISO 8601, as pydantic reads it
        return value


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the environment once per process."""
    return Settings()  # type: ignore[call-arg]  # the environment gives the rest
