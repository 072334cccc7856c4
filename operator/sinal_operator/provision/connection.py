"""The provisioner's connection to NATS."""

from __future__ import annotations

from typing import Any

from nats.aio.client import Client

from sinal_crds import trust


class Connection(Client):
    """nats-py's client, which never speaks in the clear where an authority is set (`tls`)."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        trust.demand(info, of=self.options.get("tls"))
        await super()._process_info(info, initial_connection)
