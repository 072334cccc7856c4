"""Why a gateway's delivery was refused, and whose it seems to be: what people are told of it, never
what was in it.

The sender's address is kept as its network only. Mostly it is a gateway's server; it may be
anybody's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from sinal_core.http import client_ip
from sinal_core.http.exchange import Request
from sinal_core.http.problem import Problem
from sinal_crds.plan import IntegrationPlan, TenantPlan
from sinal_hub.ingest.http import mount
from sinal_hub.intake.ports import Snapshot
from sinal_hub.intake.refusal import Refusal

MOST_ABSENT = 8
_BY_STATUS = {
    401: "unknown_url",
    404: "unknown_tenant",
    408: "too_slow",
    413: "too_large",
    429: "too_many",
    503: "not_stored",
}
_PREFIX = {4: 24, 6: 48}


class Asked(Mapping[str, str]):
    """Headers or a query that remember which names a check looked for in vain."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.absent: list[str] = []

    def __getitem__(self, name: str) -> str:
        try:
            return self._given[name]
        except KeyError:
            if len(self.absent) < MOST_ABSENT and name not in self.absent:
                self.absent.append(name)
            raise

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


class Proof:
    """What a gateway's check looks at: a delivery's headers and query."""

    def __init__(self, request: Request) -> None:
        self.headers, self.query = Asked(request.headers), Asked(request.appended_query)

    @property
    def missing(self) -> str:
        """The first name that was looked for in vain.

        Of the query only where the check asks for no header at all.
        """
        if self.headers.absent:
            return self.headers.absent[0]
        return self.query.absent[0] if self.query.absent else ""


def judge(
    error: Problem,
    *,
    request: Request,
    snapshot: Snapshot,
    slug: str | None,
    gateway: str,
    token: str | None,
    proof: Proof | None,
    trusted_proxies: int,
) -> Refusal:
    """Whose delivery it seems to be, by its URL and host, and why it was refused."""
    tenant, candidates = _whose(snapshot, request, slug, gateway, token)
    reason, missing = error.reason or _BY_STATUS.get(error.status, "other"), ""
    if error.status == 401 and not error.reason and candidates:
        if candidates[0].gateway != gateway:
            reason = "other_gateway"
        else:
            missing = proof.missing if proof is not None else ""
            reason = "proof_missing" if missing else "proof_wrong"
    address = client_ip.client_ip(
        request.peer, request.headers.get("x-forwarded-for"), trusted_proxies=trusted_proxies
    )
    return Refusal(
        reason=reason,
        tenant=tenant.slug if tenant else "",
        integration=candidates[0].name if len(candidates) == 1 else "",
        gateway=gateway,
        missing=missing,
        network=network_of(address),
    )


def network_of(address: str | None) -> str:
    """The network of an address: a /24, or a /48 of IPv6; empty for none."""
    if address is None:
        return ""
    version = ipaddress.ip_address(address).version
    return str(ipaddress.ip_network(f"{address}/{_PREFIX[version]}", strict=False))


def _whose(
    snapshot: Snapshot, request: Request, slug: str | None, gateway: str, token: str | None
) -> tuple[TenantPlan | None, Sequence[IntegrationPlan]]:
    """By the URL's token where place and token go together, else the tenant of its path or host."""
    try:
        tenant, own_host = mount.place(snapshot, request, slug)
    except Problem:
        return None, ()
    if token is None:
        found = () if tenant is None or not own_host else tenant.integrations
        return tenant, [one for one in found if one.gateway == gateway]
    known = snapshot.by_token(token) if len(token) <= mount.MAX_CREDENTIAL else None
    if known is None or (tenant is not None and tenant.slug != known[0].slug):
        return tenant, ()
    return known[0], known[1:]
