"""Routes from the outside to ingest: an object for each first-party host, and one for each tenant's
path.

They live in Sinal's namespace, because an Ingress reaches only Services of its own, so that nothing
but the operator takes them away: no owner reference leads over namespaces. `decision` compares what
is wanted with what a watch shows; `router` does what differs. Invariant: what the operator did not
make is never changed, and what it made for a tenant never outlives it.
"""

from __future__ import annotations

from sinal_operator.cluster.routes.options import BadOptions, RouteOptions, read
from sinal_operator.cluster.routes.router import Router

__all__ = ["BadOptions", "RouteOptions", "Router", "read"]
