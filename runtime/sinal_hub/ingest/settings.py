"""Settings of the HTTP edge."""

from __future__ import annotations

from pydantic import Field

from sinal_core.http.settings import DrainSettings, ListenerSettings
from sinal_core.redis_settings import RedisSettings
from sinal_hub.intake.settings import EventSettings
from sinal_hub.spool.settings import SpoolSettings


class EdgeSettings(EventSettings):
    """The edge."""

    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="How many proxies before ingest append to X-Forwarded-For; 0 ignores the "
        "header.",
    )
    country_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="Header in which the proxies before ingest tell the visitor's country (ISO "
        "3166-1 alpha-2), such "
        "as CF-IPCountry, for funnels that require consent in some countries. The proxies must "
        "overwrite what a "
        "visitor sends; without `trusted_proxies` it is ignored.",
    )
    body_timeout_s: float = Field(
        10.0, gt=0, le=120, description="How long a request's body may take to arrive at the edge."
    )


class ServerSettings(EdgeSettings, SpoolSettings, RedisSettings, DrainSettings, ListenerSettings):
    """All that one listener of the edge reads."""
