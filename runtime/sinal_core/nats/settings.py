"""Settings of the broker's clients."""

from __future__ import annotations

import ssl
from pathlib import Path

from pydantic import Field, field_validator

from sinal_core.settings import Group
from sinal_crds import trust


class NatsSettings(Group):
    """NATS."""

    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS server with JetStream.")
    nats_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authority that NATS's certificate must be of; NATS "
        "has to speak TLS "
        "then. Default: the system's, where NATS asks for TLS.",
    )

    @field_validator("nats_ca_file")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        # a file that can't be used ends the process: each connection would fail unseen otherwise
        if value is not None:
            trust.context(value)
        return value

    @property
    def nats_authority(self) -> ssl.SSLContext | None:
        """What NATS's certificate must be of.

        None: the system's authorities, where NATS asks for TLS.
        """
        return None if self.nats_ca_file is None else trust.context(self.nats_ca_file)


class StreamSettings(Group):
    """Streams."""

    nats_replicas: int = Field(
        1,
        ge=1,
        le=5,
        description="Replicas of the streams that the operator makes; 3 in a cluster.",
    )


class LaneSettings(Group):
    """Lanes."""

    lane_ack_wait_s: float = Field(
        60.0,
        ge=5,
        le=600,
        description="When the broker gives a lost worker's messages to another; the same for "
        "operator and workers.",
    )


class LaneReaderSettings(LaneSettings):
    """Readers of lanes."""

    lane_in_flight: int = Field(
        1_000, ge=1, le=10_000, description="Most un-acked messages a worker holds of one lane."
    )
