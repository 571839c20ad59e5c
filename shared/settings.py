"""Every setting, once: its name, its type and why it has its value. Only this module reads the environment."""

from __future__ import annotations

import logging
import os
import tempfile
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

log = logging.getLogger(__name__)

PREFIX = "SCENEMILL_"
# Names that settings had before. They are still read where the new name is not set, with a warning at each start.
RENAMED = {
    "account_running": "max_running_per_account",
    "account_unclaimed": "max_unclaimed_per_account",
    "cache_value": "cache_max_value_bytes",
    "database_pool": "database_pool_size",
    "drain": "shutdown_grace",
    "heartbeat": "heartbeat_interval",
    "keep_artifacts": "artifact_retention",
    "keep_records": "record_retention",
    "lease": "lease_duration",
    "max_asset": "max_asset_bytes",
    "max_batch": "max_batch_jobs",
    "max_batch_body": "max_batch_body_bytes",
    "max_body": "max_body_bytes",
    "max_queued_account": "max_queued_per_account",
    "max_stock_file": "max_stock_file_bytes",
    "render_stall": "render_stall_timeout",
    "render_wall": "render_timeout",
    "republish": "republish_after",
    "retry_base": "retry_base_delay",
    "retry_cap": "retry_max_delay",
    "segment_store": "segment_store_max_bytes",
    "speech_parallel": "speech_concurrency",
    "speech_store": "speech_store_max_bytes",
    "storage_cache": "storage_cache_max_bytes",
    "sweep": "sweep_interval",
}
TOKEN_SECRET = 32  # characters of what signs tokens, at least


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """An OpenAI-compatible endpoint and the model to ask for there."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _endpoints(base_urls: str, names: str, secret: SecretStr) -> tuple[LanguageModel, ...]:
    urls, models = _listed(base_urls), _listed(names)
    keys = _listed(secret.get_secret_value()) or [""]
    if not urls or not models:
        return ()
    return tuple(
        LanguageModel(url, models[min(at, len(models) - 1)], keys[min(at, len(keys) - 1)])
        for at, url in enumerate(urls)
    )


def _former_names() -> dict[str, str]:
    """Return the former names that the environment uses, each with the name of today."""
    return {old: new for old, new in RENAMED.items() if f"{PREFIX}{old.upper()}" in os.environ}


class _FormerNames(PydanticBaseSettingsSource):
    """Reads settings from the names that they had before."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (its signature)
        """Return nothing for a single field: `__call__` returns them all."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by the names of today."""
        return {new: os.environ[f"{PREFIX}{old.upper()}"] for old, new in _former_names().items()}


class Settings(BaseSettings):
    """What may differ from one installation to the next, from `SCENEMILL_…`. Durations are seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str
    broker_url: str
    redis_url: str
    storage_url: str
    # With s3://bucket/prefix: where (a server such as MinIO; none: Amazon's), by which keys (none: the machine's role), and
    # how long its silence is borne. Workers keep copies of what they work with, up to a size in bytes.
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")
    s3_timeout: timedelta = timedelta(seconds=10)
    storage_cache_dir: Path = Path(tempfile.gettempdir()) / "scenemill-cache"
    storage_cache_max_bytes: int = Field(default=10 * 1024**3, ge=1)
    work_dir: Path = Path(tempfile.gettempdir()) / "scenemill"
    log_level: str = "INFO"
    ffmpeg: str | None = None

    # A lease outlives many missed heartbeats; a heartbeat also brings a cancel back within two seconds.
    lease_duration: timedelta = timedelta(seconds=15)
    heartbeat_interval: timedelta = timedelta(seconds=1)
    sweep_interval: timedelta = timedelta(seconds=2)
    # How long a published message may stay unclaimed before it counts as lost (Redis loses some).
    republish_after: timedelta = timedelta(seconds=60)
    max_attempts: int = Field(default=5, ge=1)
    retry_base_delay: timedelta = timedelta(seconds=2)
    retry_max_delay: timedelta = timedelta(minutes=10)

    # One ffmpeg: the longest that it may run, and that it may stand still.
    render_timeout: timedelta = timedelta(minutes=30)
    render_stall_timeout: timedelta = timedelta(seconds=60)
    # Drawing and layout in Python: the longest between two signs of life.
    drawing_deadline: timedelta = timedelta(seconds=120)
    work_max_bytes: int = Field(default=32 * 1024**3, ge=1)  # what one attempt may have in its work folder
    # A worker that is told to end lets what runs go on for so long, then hands it back uncharged.
    shutdown_grace: timedelta = timedelta(seconds=10)
    # h264_nvenc, h264_vaapi or h264_qsv where the workers have it; x264 where it is not named or does not work.
    encoder: str | None = None

    max_body_bytes: int = 16 * 1024 * 1024
    max_asset_bytes: int = 2 * 1024**3
    # Files that come in pieces: unfinished ones of an account, how long one may rest, and where it does (none: beside the
    # stored files).
    max_uploads: int = Field(default=100, ge=1)
    upload_expiry: timedelta = timedelta(days=1)
    upload_dir: Path | None = None
    max_batch_jobs: int = Field(default=10_000, ge=1, le=10_000)  # jobs
    max_batch_body_bytes: int = 32 * 1024 * 1024
    max_queued: int = 100_000  # over it a job is refused with 503 rather than kept waiting for ever
    max_queued_per_account: int = 20_000  # of one account; over it a job is refused with 429
    trusted_proxies: int = Field(default=0, ge=0)  # how many of them stand between a client and the API
    rate_limit: str = "600/minute"  # of an account
    address_rate_limit: str = "1200/minute"  # of an address, whoever calls from there
    # What signs access tokens: secrets of 32 characters or more, with commas; the first signs, all are believed. Without
    # any there are no tokens, and API keys alone open the API.
    token_secrets: SecretStr = SecretStr("")
    token_ttl: timedelta = timedelta(minutes=15)
    login_ttl: timedelta = timedelta(days=30)  # however often its tokens are renewed
    artifact_retention: timedelta | None = None
    # Who did what, and which webhooks were sent: kept for as long as somebody may ask.
    record_retention: timedelta = timedelta(days=90)
    # What one account of weight 1 may have at the workers: unclaimed messages for each queue, and jobs begun.
    max_unclaimed_per_account: int = 4
    max_running_per_account: int = 32
    # What is rendered and spoken is kept up to these sizes in bytes, the least recently used goes first.
    segment_store_max_bytes: int = 20 * 1024**3
    speech_store_max_bytes: int = 2 * 1024**3
    # What one of each costs, in any one currency: a thousand tokens, a thousand spoken characters, a minute that is
    # transcribed, an image, a second.
    price_tokens: float = 0.0
    price_characters: float = 0.0
    price_transcription: float = 0.0
    price_images: float = 0.0
    price_render_seconds: float = 0.0
    # Answers of models and providers: how long they are remembered, and how large one may be.
    cache_ttl: timedelta = timedelta(days=7)
    cache_max_value_bytes: int = 1024 * 1024
    idempotency_ttl: timedelta = timedelta(hours=24)

    database_pool_size: int = 10
    statement_timeout: timedelta = timedelta(seconds=15)
    lock_timeout: timedelta = timedelta(seconds=3)

    worker_metrics_port: int = 0  # 0: no endpoint
    worker_metrics_host: str = "127.0.0.1"  # in a cluster: an address that Prometheus reaches

    # Addresses that clients name must be public, unless whoever runs this allows others.
    allow_private_addresses: bool = False
    ca_file: str | None = None  # instead of the system's certificate authorities

    # An OpenAI-compatible endpoint; several, separated by commas, are tried in their order.
    llm_base_url: str = ""
    llm_api_key: SecretStr = SecretStr("")
    llm_model: str = ""

    # Speech by an OpenAI-compatible server, before the embedded engine; several as above. A voice that speaks only one
    # language names it: "alloy, thorsten@de". Word times come from transcriptions, where a model for them is named.
    speech_base_url: str = ""
    speech_api_key: SecretStr = SecretStr("")
    speech_model: str = "gpt-4o-mini-tts"
    speech_voices: str = "alloy"
    speech_transcription_model: str = "whisper-1"
    speech_concurrency: int = Field(default=4, ge=1)  # sentences at once, of one job
    # Voice files of Piper, separated by commas; each has its description beside it, as `voice.onnx.json`.
    piper_voices: str = ""

    # Stock pictures: a provider takes part when its key is there. Kinds are looked for in their order.
    pexels_api_key: SecretStr = SecretStr("")
    pexels_base_url: str = "https://api.pexels.com"
    pixabay_api_key: SecretStr = SecretStr("")
    pixabay_base_url: str = "https://pixabay.com/api"
    stock_kinds: str = "photos,clips"
    max_stock_file_bytes: int = 200 * 1024**2

    # Generated pictures: an OpenAI-compatible endpoint; several as above.
    images_base_url: str = ""
    images_api_key: SecretStr = SecretStr("")
    images_model: str = "gpt-image-1"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (the base class names them)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment, and after it the names that settings had before."""
        return init_settings, env_settings, _FormerNames(settings_cls)

    def signing_secrets(self) -> tuple[str, ...]:
        """Return what signs access tokens; the first one does, the others did."""
        return tuple(_listed(self.token_secrets.get_secret_value()))

    def llm_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the endpoints that are named, in order. The last key or model serves all that have none of their own."""
        return _endpoints(self.llm_base_url, self.llm_model, self.llm_api_key)

    def speech_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the servers that speak, in order."""
        return _endpoints(self.speech_base_url, self.speech_model, self.speech_api_key)

    def images_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the servers that make pictures, in order."""
        return _endpoints(self.images_base_url, self.images_model, self.images_api_key)

    @field_validator("token_secrets")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        """Refuse what could be guessed from one token: HMAC-SHA256 wants 32 bytes."""
        if any(len(secret) < TOKEN_SECRET for secret in _listed(value.get_secret_value())):
            raise ValueError(f"each secret must have {TOKEN_SECRET} characters or more")
        return value

    @field_validator("s3_endpoint")
    @classmethod
    def _an_address(cls, value: str) -> str:
        """Refuse what is no address, before a job needs it."""
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it must begin with http:// or https://")
        return value

    @field_validator("storage_url")
    @classmethod
    def _a_place(cls, value: str) -> str:
        """Refuse a bucket without a name, and what is neither a folder nor a bucket."""
        scheme, colon, rest = value.partition("://")
        if colon and (scheme not in ("file", "s3") or not rest.strip("/")):
            raise ValueError("it must be a folder, or s3://bucket/prefix")
        return value

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


def warn_of_former_names() -> None:
    """Log one warning for each setting that is given by a name that it had before."""
    for old, new in _former_names().items():
        log.warning(
            "setting_renamed",
            extra={"setting": f"{PREFIX}{old.upper()}", "use_instead": f"{PREFIX}{new.upper()}"},
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the environment once per process."""
    return Settings()  # type: ignore[call-arg]  # the environment gives the rest
