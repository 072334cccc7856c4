"""Settings of plans: the keys that open them, and the hosts that no plan may have."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sinal_core.settings import Group, Words
from sinal_crds.hosts import ReservedHosts


class KeyringSettings(Group):
    """The keyring."""

    keyring_file: Path = Field(
        Path("keyring.json"),
        description="The keyring, as the operator has it, or the part of it that the role needs.",
    )


class HostSettings(Group):
    """Hosts of the platform."""

    public_url: str = Field(
        "http://127.0.0.1:8080",
        description="Where gateways reach ingest from outside; the operator makes the webhook URLs "
        "in statuses of it.",
    )
    routes_service: str = Field("sinal-ingest", description="Name of ingest's Service.")
    reserved_hosts: Words = Field(
        (),
        description="Hosts of the platform, with commas between, that no Tenant may have: the "
        "API's, the console's. "
        "The host of `public_url` and the names of ingest's Service are among them unsaid.",
    )

    @property
    def reserved(self) -> ReservedHosts:
        """Hosts that no Tenant may have.

        The same for the operator that compiles plans and the edge that reads them.
        """
        return ReservedHosts.of(
            self.public_url, service=self.routes_service, others=self.reserved_hosts
        )
