"""Settings of delivery."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from sinal_core.nats.settings import LaneReaderSettings
from sinal_hub.meta.settings import GraphSettings

LEASE_SHARE = 11 / 12  # of ack_wait: the longest claim; the rest is for clocks and the way back


class DeliverySettings(GraphSettings, LaneReaderSettings):
    """Delivery."""

    graph_timeout_s: float = Field(
        10.0,
        gt=0,
        le=25,
        description="One request to the Graph API; two of them fit into `lane_ack_wait_s` (checked "
        "at start).",
    )
    dispatch_concurrency: int = Field(
        32, ge=1, le=1_000, description="Requests to the Graph API at the same time."
    )

    @model_validator(mode="after")
    def _lease_covers_a_request(self) -> Self:
        """A claim must outlive its request and end before the broker gives the message to another
        worker.
        """
        if 2 * self.graph_timeout_s > self.lane_ack_wait_s * LEASE_SHARE:
            longest = self.lane_ack_wait_s * LEASE_SHARE / 2
            raise ValueError(
                f"graph_timeout_s is {self.graph_timeout_s:g} and may be {longest:g} at most with "
                "a lane_ack_wait_s of "
                f"{self.lane_ack_wait_s:g}: a request must end while its claim holds"
            )
        return self
