"""Where a request arrived: host or path name a tenant.

Every way not to be known ends in the same words.
"""

from __future__ import annotations

from typing import NamedTuple

from sinal_core.http import problem
from sinal_core.http.exchange import Request
from sinal_crds.plan import TenantPlan
from sinal_hub.intake.ports import Snapshot

MAX_CREDENTIAL = 200  # characters; longer ones are not worth a digest


class Mount(NamedTuple):
    """Where a request arrived: a tenant's own host or path, or nobody's (the shared host)."""

    tenant: TenantPlan | None
    own_host: bool


def place(snapshot: Snapshot, request: Request, slug: str | None) -> Mount:
    """The tenant that host or path name.

    Raises Problem 404 for a slug of nobody or of another than the host's.
    """
    of_host = snapshot.by_host(request.host)
    if slug is None:
        return Mount(of_host, own_host=of_host is not None)
    tenant = snapshot.tenants.get(slug)
    if tenant is None or (of_host is not None and of_host.slug != slug):
        raise problem.unknown_tenant()
    return Mount(tenant, own_host=False)
