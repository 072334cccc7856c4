"""The kinds of group sinal.dev as pydantic models: reference, validation and CRD schema in one
place.
"""

from __future__ import annotations

from sinal_crds.models.destination import Destination
from sinal_crds.models.funnel import Funnel
from sinal_crds.models.integration import GatewayIntegration
from sinal_crds.models.manifest import Manifest
from sinal_crds.models.tenant import Tenant

KINDS: dict[str, type[Manifest]] = {
    "Tenant": Tenant,
    "Destination": Destination,
    "Funnel": Funnel,
    "GatewayIntegration": GatewayIntegration,
}

__all__ = ["KINDS", "Destination", "Funnel", "GatewayIntegration", "Manifest", "Tenant"]
