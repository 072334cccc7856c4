"""Whether a cluster takes an installation: looked at beforehand, because half an installation is
worse than none.
"""

from __future__ import annotations

from typing import Any

from sinal_crds.names import GROUP, VERSION
from sinal_crds.schema import FACES
from sinal_operator.cluster.client import ApiServerClient
from sinal_operator.cluster.resources import Resource

EXTERNAL_METRICS = "v1beta1.external.metrics.k8s.io"
_DEFINITIONS = Resource(
    "CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions"
)
_API_SERVICES = Resource("APIService", "apiregistration.k8s.io", "v1", "apiservices")


class Unfit(Exception):
    """The cluster does not take this installation; the message says what helps."""


async def definitions_served(client: ApiServerClient) -> None:
    """Every kind of ours is served in our version; raises Unfit, Unreachable or Refused."""
    for face in FACES.values():
        name = f"{face.plural}.{GROUP}"
        definition = await client.get(_DEFINITIONS, "", name)
        if definition is None:
            raise Unfit(f"the definition {name} is missing: install the chart sinal-crds first")
        served = [
            version["name"] for version in definition["spec"]["versions"] if version["served"]
        ]
        if VERSION not in served:
            raise Unfit(
                f"the definition {name} serves {', '.join(served)}, this release needs {VERSION}: "
                "upgrade sinal-crds"
            )


async def external_metrics_ours(client: ApiServerClient, namespace: str, service: str) -> None:
    """Nobody else serves external metrics: a cluster has one such API.

    Raises Unfit, Unreachable or Refused.
    """
    found = await client.get(_API_SERVICES, "", EXTERNAL_METRICS)
    owner = None if found is None else _owner(found)
    if owner is not None and owner != f"{namespace}/{service}":
        raise Unfit(
            f"APIService {EXTERNAL_METRICS} belongs to {owner}, and a cluster has only one: set "
            "autoscaling.mode to "
            "keda where that is KEDA, else to cpu or none, or remove the other one first"
        )


def _owner(api_service: dict[str, Any]) -> str:
    service = api_service["spec"].get("service") or {}
    return (
        f"{service.get('namespace', '')}/{service.get('name', '')}"
        if service
        else "the API server itself"
    )
