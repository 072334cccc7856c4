"""Settings of HTTP listeners."""

from __future__ import annotations

from pydantic import Field

from sinal_core.settings import Group


class ListenerSettings(Group):
    """The HTTP listener."""

    host: str = Field("127.0.0.1", description="Address of the HTTP listener.")
    port: int = Field(8080, ge=0, le=65_535, description="Port of the HTTP listener.")


class ProbeSettings(ListenerSettings):
    """The listener of probes."""

    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port of `/readyz`, `/metrics` and `/healthz` of ingest and API, whose own "
        "listener is for the "
        "world and has none but the last. Default: the one after SINAL_PORT. The other roles have "
        "all on SINAL_PORT.",
    )

    @property
    def port_of_probes(self) -> int:
        """The port beside the one for the world; 0 takes a free one."""
        if self.metrics_port is not None:
            return self.metrics_port
        return self.port + 1 if self.port else 0


class DrainSettings(Group):
    """The end of a listener."""

    drain_s: float = Field(
        0.0,
        ge=0,
        le=60,
        description="How long edge, operations API and metrics adapter answer unready before they "
        "stop listening: the "
        "time that a load balancer needs to notice.",
    )
