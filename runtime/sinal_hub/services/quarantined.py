"""Quarantine as people use it: what no adapter understood, and reading it again after a fix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sinal_core.http.problem import Problem
from sinal_hub.quarantine.release import KeptDelivery, KeptPage, Quarantined, Reparsed, ReparsedPage
from sinal_hub.services.callers import Caller
from sinal_hub.services.errors import Exhausted, NotFound, Unavailable, Unprocessable
from sinal_hub.store.audit import AuditStore

__all__ = ["KeptDelivery", "KeptPage", "QuarantineService", "Reparsed", "ReparsedPage"]

AGAIN_S = 2  # where the edge does not say when


class QuarantineService:
    """Kept deliveries; raises BusError, StoreUnavailable and errors of services."""

    def __init__(self, quarantined: Quarantined, audit: AuditStore) -> None:
        self._quarantined, self._audit = quarantined, audit

    async def page(
        self,
        caller: Caller,
        tenant: str | None,
        *,
        gateway: str | None,
        cursor: str | None,
        limit: int,
    ) -> KeptPage:
        """Where they are from and why they are kept, newest first."""
        return await self._quarantined.page(
            caller.scope(tenant), gateway=gateway, before=cursor, limit=limit
        )

    async def show(self, caller: Caller, kept_id: str) -> KeptDelivery:
        """One of them, without its body."""
        found = await self._quarantined.show(caller.tenant, kept_id)
        if found is None:
            raise _absent()
        return found

    async def reparse(self, caller: Caller, kept_id: str) -> Reparsed:
        """Read one again; what is understood is published and kept no more."""
        with _refusals():
            done = await self._quarantined.reparse(caller.tenant, kept_id)
        if done is None:
            raise _absent()
        await self._audit.write(
            caller.entry(
                "quarantine.reparse", done.id, tenant=done.tenant, results={done.result: 1}
            )
        )
        return done

    async def reparse_all(
        self, caller: Caller, tenant: str | None, *, gateway: str, cursor: str | None, limit: int
    ) -> ReparsedPage:
        """Read a page of a gateway's again."""
        scope = caller.scope(tenant)
        with _refusals():
            done = await self._quarantined.reparse_all(
                scope, gateway=gateway, before=cursor, limit=limit
            )
        await self._audit.write(
            caller.entry("quarantine.reparse", gateway, tenant=scope, results=done.results)
        )
        return done


def _absent() -> NotFound:
    return NotFound("no such delivery in quarantine; it was released, or it expired after 30 days")


@contextmanager
def _refusals() -> Iterator[None]:
    """The edge's refusals in the domain's words."""
    try:
        yield
    except Problem as error:
        said = dict(error.headers).get(b"retry-after", b"")
        # HTTP allows a date here as well: then any short wait will do.
        again_s = int(said) if said.isdigit() else AGAIN_S
        if error.status == 429:
            raise Exhausted(error.detail, retry_after_s=again_s) from error
        if error.status >= 500:
            raise Unavailable(error.detail, retry_after_s=again_s) from error
        raise Unprocessable(error.detail) from error
