"""Every setting: its name, type, default and reason. Only this module reads the environment."""

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
# Former names of settings. They are read where the new name is not set, and each start warns of them.
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
TOKEN_SECRET = 32  # least length of a signing secret


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """An OpenAI-compatible endpoint, and the model to use there."""

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
    """Return the former names that the environment uses, with the present name of each."""
    return {old: new for old, new in RENAMED.items() if f"{PREFIX}{old.upper()}" in os.environ}


class _FormerNames(PydanticBaseSettingsSource):
    """Reads settings under their former names."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 (its signature)
        """Return nothing: `__call__` returns all fields at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values under their present names."""
        return {new: os.environ[f"{PREFIX}{old.upper()}"] for old, new in _former_names().items()}


class Settings(BaseSettings):
    """What may differ between installations, from `SCENEMILL_…`. Durations are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: str
    broker_url: str
    redis_url: str
    storage_url: str
    # For s3://bucket/prefix: the server (empty: Amazon's), its keys (empty: the machine's role), and the longest wait
    # for an answer. Workers cache the files that they work with, up to a size in bytes.
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

    # A lease outlives many missed heartbeats. A heartbeat also tells a worker of a cancellation.
    lease_duration: timedelta = timedelta(seconds=15)
    heartbeat_interval: timedelta = timedelta(seconds=1)
    sweep_interval: timedelta = timedelta(seconds=2)
    # How long a published message may stay unclaimed before it counts as lost, as Redis loses some.
    republish_after: timedelta = timedelta(seconds=60)
    max_attempts: int = Field(default=5, ge=1)
    retry_base_delay: timedelta = timedelta(seconds=2)
    retry_max_delay: timedelta = timedelta(minutes=10)

    # Of one ffmpeg process: the longest run, and the longest time without progress.
    render_timeout: timedelta = timedelta(minutes=30)
    render_stall_timeout: timedelta = timedelta(seconds=60)
    # Of drawing and layout in Python: the longest time without progress.
    drawing_deadline: timedelta = timedelta(seconds=120)
    work_max_bytes: int = Field(default=32 * 1024**3, ge=1)  # of the files in one attempt's work folder
    # When a worker is told to stop, running work may finish within this time; then it is handed back without costing an
    # attempt.
    shutdown_grace: timedelta = timedelta(seconds=10)
    # h264_nvenc, h264_vaapi or h264_qsv where the workers have it; x264 is used where this is unset or does not work.
    encoder: str | None = None

    max_body_bytes: int = 16 * 1024 * 1024
    max_asset_bytes: int = 2 * 1024**3
    # Resumable uploads: how many an account may have open, how long one may be idle, and their folder (none: in the
    # storage's folder).
    max_uploads: int = Field(default=100, ge=1)
    upload_expiry: timedelta = timedelta(days=1)
    upload_dir: Path | None = None
    max_batch_jobs: int = Field(default=10_000, ge=1, le=10_000)
    max_batch_body_bytes: int = 32 * 1024 * 1024
    max_queued: int = 100_000  # of all accounts; above it, jobs are refused with 503
    max_queued_per_account: int = 20_000  # above it, jobs of that account are refused with 429
    trusted_proxies: int = Field(default=0, ge=0)  # proxies between a client and the API
    # The address that clients reach the API by, for absolute links; empty: that of each request.
    public_url: str = ""
    rate_limit: str = "600/minute"  # per account
    address_rate_limit: str = "1200/minute"  # per client address
    # Secrets that sign access tokens: 32 characters or more each, separated by commas. The first one signs, all of them
    # verify. Without one there are no tokens, and only API keys authenticate.
    token_secrets: SecretStr = SecretStr("")
    token_ttl: timedelta = timedelta(minutes=15)
    login_ttl: timedelta = timedelta(days=30)  # from the login, however often its tokens are renewed
    artifact_retention: timedelta | None = None
    # How long audit events and webhook deliveries are kept.
    record_retention: timedelta = timedelta(days=90)
    # Per account of weight 1: unclaimed messages in each queue, and running jobs.
    max_unclaimed_per_account: int = 4
    max_running_per_account: int = 32
    # Limits of the render and speech caches; the least recently used entries are removed first.
    segment_store_max_bytes: int = 20 * 1024**3
    speech_store_max_bytes: int = 2 * 1024**3
    # Prices in any one currency: of 1,000 tokens, 1,000 spoken characters, a minute of transcription, an image, a
    # second of rendering.
    price_tokens: float = 0.0
    price_characters: float = 0.0
    price_transcription: float = 0.0
    price_images: float = 0.0
    price_render_seconds: float = 0.0
    # Cached answers of models and providers: how long they are kept, and the largest one.
    cache_ttl: timedelta = timedelta(days=7)
    cache_max_value_bytes: int = 1024 * 1024
    idempotency_ttl: timedelta = timedelta(hours=24)

    database_pool_size: int = 10
    statement_timeout: timedelta = timedelta(seconds=15)
    lock_timeout: timedelta = timedelta(seconds=3)

    worker_metrics_port: int = 0  # 0: no endpoint
    worker_metrics_host: str = "127.0.0.1"  # in a cluster: an address that Prometheus can reach

    # The start page shows these to everyone who can reach the API: a link to Flower, and the video of a folder.
    flower_url: str = ""
    demo_dir: Path | None = None

    # Lets URLs in scripts and webhooks lead to private addresses. Leave it off where clients are not trusted.
    allow_private_addresses: bool = False
    ca_file: str | None = None  # instead of the system's certificate authorities

    # An OpenAI-compatible endpoint. Several, separated by commas, are tried in order.
    llm_base_url: str = ""
    llm_api_key: SecretStr = SecretStr("")
    llm_model: str = ""

    # Speech from an OpenAI-compatible server instead of the embedded engine; several as above. A voice that speaks only
    # one language names it: "alloy, thorsten@de". Word times come from a transcription model, where one is set.
    speech_base_url: str = ""
    speech_api_key: SecretStr = SecretStr("")
    speech_model: str = "gpt-4o-mini-tts"
    speech_voices: str = "alloy"
    speech_transcription_model: str = "whisper-1"
    speech_concurrency: int = Field(default=4, ge=1)  # sentences of one job that are requested at once
    # Piper voice files, separated by commas; each has its description beside it, as `voice.onnx.json`.
    piper_voices: str = ""

    # Stock pictures: a provider is used when its key is set. The kinds are searched in order.
    pexels_api_key: SecretStr = SecretStr("")
    pexels_base_url: str = "https://api.pexels.com"
    pixabay_api_key: SecretStr = SecretStr("")
    pixabay_base_url: str = "https://pixabay.com/api"
    stock_kinds: str = "photos,clips"
    max_stock_file_bytes: int = 200 * 1024**2

    # Generated pictures from an OpenAI-compatible endpoint; several as above.
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
        """Read the environment first, then the former names."""
        return init_settings, env_settings, _FormerNames(settings_cls)

    def signing_secrets(self) -> tuple[str, ...]:
        """Return the secrets of access tokens: the first signs, all verify."""
        return tuple(_listed(self.token_secrets.get_secret_value()))

    def llm_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the LLM endpoints, in order. The last key or model is used for every endpoint without one of its own."""
        return _endpoints(self.llm_base_url, self.llm_model, self.llm_api_key)

    def speech_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the speech servers, in order."""
        return _endpoints(self.speech_base_url, self.speech_model, self.speech_api_key)

    def images_endpoints(self) -> tuple[LanguageModel, ...]:
        """Return the image servers, in order."""
        return _endpoints(self.images_base_url, self.images_model, self.images_api_key)

    @field_validator("token_secrets")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        """Refuse a secret that could be guessed from one token: HMAC-SHA256 needs 32 bytes."""
        if any(len(secret) < TOKEN_SECRET for secret in _listed(value.get_secret_value())):
            raise ValueError(f"each secret must have at least {TOKEN_SECRET} characters")
        return value

    @field_validator("s3_endpoint", "flower_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        """Refuse what is not a URL at the start, not when a job needs it."""
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("it must begin with http:// or https://")
        return value

    @field_validator("storage_url")
    @classmethod
    def _a_place(cls, value: str) -> str:
        """Refuse a bucket without a name, and any other scheme."""
        scheme, colon, rest = value.partition("://")
        if colon and (scheme not in ("file", "s3") or not rest.strip("/")):
            raise ValueError("it must be a folder, or s3://bucket/prefix")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """Read "2.5" as seconds: pydantic does so for numbers only, and the environment has only text."""
        kind = cls.model_fields[info.field_name or ""].annotation
        if kind in (timedelta, timedelta | None) and isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                return value  # ISO 8601, which pydantic parses
        return value


def warn_of_former_names() -> None:
    """Log a warning for each setting that the environment gives under a former name."""
    for old, new in _former_names().items():
        log.warning(
            "setting_renamed",
            extra={"setting": f"{PREFIX}{old.upper()}", "use_instead": f"{PREFIX}{new.upper()}"},
        )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return this process's settings, read from the environment once."""
    return Settings()  # type: ignore[call-arg]  # the environment gives the rest
