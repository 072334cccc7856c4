"""Settings of the connection to Redis.

Beside the limiter, not in it: who reads them need not import Redis's client.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from sinal_core.settings import Group
from sinal_crds import trust


class RedisSettings(Group):
    """Redis."""

    redis_url: str | None = Field(
        None, description="Redis; without it limits are kept per process."
    )
    redis_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authority that Redis's certificate must be of; for "
        "a URL with `rediss://`.",
    )

    @field_validator("redis_ca_file")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        if value is not None:
            trust.context(value)
        return value

    @model_validator(mode="after")
    def _redis_speaks_tls(self) -> Self:
        """An authority that nobody asks would be taken for safety."""
        if self.redis_ca_file is not None and not (self.redis_url or "").startswith("rediss://"):
            raise ValueError(
                "redis_ca_file is set and redis_url doesn't begin with rediss://: change one of "
                "them"
            )
        return self

    @property
    def redis(self) -> str | None:
        """Redis's URL with its authority, as redis-py reads it."""
        if self.redis_url is None or self.redis_ca_file is None:
            return self.redis_url
        joint = "&" if "?" in self.redis_url else "?"
        return f"{self.redis_url}{joint}ssl_ca_certs={quote(str(self.redis_ca_file))}"
