"""Plans and options to make routes from."""

from __future__ import annotations

from typing import Any

from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import Objects, parse
from sinal_crds.plan import TenantPlan
from sinal_crds.secrets import Secrets
from sinal_operator.cluster import routes
from sinal_operator.cluster.routes import RouteOptions

KEYRING = Keyring.generate()


def plan(
    name: str = "loja",
    *,
    hosts: tuple[str, ...] = (),
    namespace: str = "shops",
    uid: str = "",
    slug: str | None = None,
    annotations: dict[str, str] | None = None,
    labels: dict[str, str] | None = None,
) -> TenantPlan:
    """The plan of a tenant with these hosts."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "uid": uid or f"uid-{name}"}
    metadata |= {"annotations": annotations or {}, "labels": labels or {}}
    spec: dict[str, Any] = {"ingest": {"hosts": list(hosts)}, **({"slug": slug} if slug else {})}
    body = {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": "Tenant",
        "metadata": metadata,
        "spec": spec,
    }
    (found,) = compile(Objects.of([parse(body)]), Secrets({}), KEYRING).plans
    return found


def options(mode: Any = "ingress", **settings: Any) -> RouteOptions:
    """Options as settings come to them."""
    if mode == "gateway":
        settings.setdefault("gateway", "infra/public")
    found = routes.read(
        **{"mode": mode, "public_url": "https://in.example", "namespace": "sinal", **settings},
    )
    assert found is not None
    return found
