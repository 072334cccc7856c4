"""A lane: one durable consumer of one tenant, which the provisioner made and a worker binds to."""

from __future__ import annotations

import msgspec

from sinal_crds import names


class Lane(msgspec.Struct, frozen=True):
    """What to pull from; the optional fields override what `Lanes` was given for all lanes."""

    tenant: str
    stream: str
    consumer: str
    key: str  # what the lane is for within its tenant: "match", or the destination's name
    batch: int | None = None
    linger_s: float | None = None
    concurrency: int | None = None  # batches of this lane at once

    @property
    def id(self) -> tuple[str, str]:
        """What makes a lane the same one: stream and consumer."""
        return (self.stream, self.consumer)


def match_lane(tenant: str) -> Lane:
    """The lane of a tenant's incoming events."""
    return Lane(tenant, names.stream(tenant), names.MATCH_CONSUMER, names.MATCH_CONSUMER)


def dispatch_lane(
    tenant: str,
    destination: str,
    *,
    batch: int | None = None,
    linger_s: float | None = None,
    concurrency: int | None = None,
) -> Lane:
    """The lane of one destination of a tenant."""
    consumer = names.dispatch_consumer(destination)
    return Lane(tenant, names.stream(tenant), consumer, destination, batch, linger_s, concurrency)
