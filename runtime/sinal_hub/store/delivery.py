"""The ledger of delivery: claim rows of the outbox, open and close attempts, settle.

Set-based: a claim is one statement and a settlement is one, for up to 1,000 events. What many
destinations with little traffic ask at the same time goes into one statement as well: it costs
nearly the same for one event as for a hundred. Invariant: an attempt is committed before its
request leaves, and a row moves only for the worker that still holds its claim.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sinal_core.aio.coalesce import Coalescer
from sinal_core.outbox.ledger import Answered, Claim, ClaimLost, Ref, Request, Result
from sinal_core.outbox.settling import WAITS_S, written
from sinal_core.postgres import queries
from sinal_core.postgres.database import Database
from sinal_core.postgres.errors import StoreRejected
from sinal_hub.store.delivery_params import (
    ClaimRequest,
    Settlement,
    keys,
    of_claim,
    of_settlement,
    span,
)
from sinal_hub.store.delivery_rows import Row

_SQL = queries.load("sinal_hub.store", "delivery")
# Batches are joined by hashing: a nested loop over a thousand rows of each side costs more than
# everything else here.
SESSION = {"enable_nestloop": "off", "enable_seqscan": "off"}
SLOTS = 2  # statements of a kind under way; what is asked meanwhile shares the next
MOST = 1_000  # rows of one
# between two statements, unless so many wait: a destination's batch has waited for a second already
APART_S = 0.025

B = TypeVar("B")
R = TypeVar("R")


class DeliveryStore:
    """Outbox and ledger; raises StoreUnavailable, StoreRejected."""

    def __init__(self, database: Database, *, settle_waits_s: Sequence[float] = WAITS_S) -> None:
        self._database = database
        self._settle_waits_s = settle_waits_s
        self._claims: Coalescer[ClaimRequest, Claim[Row] | StoreRejected] = Coalescer(
            apart(self._claim), slots=SLOTS, most=MOST, apart_s=APART_S
        )
        self._settlements: Coalescer[Settlement, set[int] | StoreRejected] = Coalescer(
            apart(self._settle), slots=SLOTS, most=MOST, apart_s=APART_S
        )

    async def claim(
        self, tenant: str, destination: str, refs: Sequence[Ref], *, lease_s: float
    ) -> Claim[Row]:
        """Take the rows that are due and open their attempts.

        1 to 1,000 refs of one destination.
        """
        return _accepted(await self._claims.run(ClaimRequest(tenant, destination, refs, lease_s)))

    async def reopen(
        self,
        tenant: str,
        destination: str,
        rows: Sequence[Row],
        unresolved: Sequence[Row],
        *,
        lease_s: float,
    ) -> Request:
        """Write down a further request for `rows` and prolong the leases of all `unresolved`.

        Raises ClaimLost.
        """
        found = await self._run(
            "reopen",
            tenant=tenant,
            destination=destination,
            lease_s=lease_s,
            **keys(rows),
            **{f"all_{name}": values for name, values in keys(unresolved).items()},
            **span(unresolved),
        )
        if not found:
            # Another worker may be sending these rows now: one more request would be a second event
            # to Meta.
            raise ClaimLost(f"{destination} of {tenant}: a lease of {len(unresolved)} rows is gone")
        return Request(found[0]["request_id"], found[0]["request_at"])

    async def settle(
        self,
        tenant: str,
        results: Sequence[Result[Row]],
        *,
        request: Request | None,
        answered: Answered | None = None,
    ) -> set[int]:
        """Close attempts, move rows, write dead letters; returns the ids that moved.

        Tried again for some seconds when PostgreSQL is away: an answer of Meta that is not written
        down is a doubt.
        """
        settlement = Settlement(tenant, results, request, answered or Answered(sent=0))

        async def settle() -> set[int]:
            return _accepted(await self._settlements.run(settlement))

        return await written(settle, self._settle_waits_s)

    async def forget(self, request: Request) -> None:
        """Take a request back that never left; its attempts must be settled first."""
        await self._run("forget_request", request_id=request.id, request_at=request.created_at)

    async def refusals(self, rows: Sequence[Row]) -> dict[int, int]:
        """How often Meta refused each row alone, by id; rows never refused are absent."""
        found = await self._run("refusals", ids=keys(rows)["ids"])
        return {row["id"]: row["refusals"] for row in found}

    async def bury(
        self, tenant: str, destination: str, *, body: bytes, reason: str, detail: str, tries: int
    ) -> None:
        """Keep a message that names no row as a dead letter."""
        await self._run(
            "bury",
            tenant=tenant,
            destination=destination,
            reason=reason,
            detail=detail,
            attempts=tries,
            # PostgreSQL takes no NUL in text
            body=body.decode(errors="replace").replace("\0", "�"),
        )

    async def make_due(self, lanes: Sequence[tuple[str, str]]) -> int:
        """Let the rows of these destinations (tenant, name) wait no longer.

        Returns how many did.
        """
        tenants, destinations = [tenant for tenant, _ in lanes], [name for _, name in lanes]
        return len(await self._run("make_due", tenants=tenants, destinations=destinations))

    async def expire(self, *, most: int = 1_000) -> dict[str, int]:
        """Give up rows that waited for more than seven days; returns how many by tenant."""
        found = await self._run("expire", most=most)
        return {row["tenant_id"]: row["events"] for row in found}

    async def _claim(self, wanted: Sequence[ClaimRequest]) -> list[Claim[Row]]:
        """Claims of different destinations as one statement."""
        found: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
        for line in await self._run("claim", **of_claim(wanted)):
            found[line["place"]].append(line)
        missed = [
            ClaimRequest(one.tenant, one.destination, left, one.lease_s)
            for place, one in enumerate(wanted, 1)
            if (left := _others(one.refs, found[place]))
        ]
        due = {}
        # Mostly every row is claimed, and this second question is spared.
        if missed:
            due = {
                line["id"]: line["due_in_s"]
                for line in await self._run("unclaimed", **of_claim(missed))
            }
        return [_claimed(one.refs, found[place], due) for place, one in enumerate(wanted, 1)]

    async def _settle(self, settlements: Sequence[Settlement]) -> list[set[int]]:
        """Settlements of many requests as one statement."""
        moved = {line["id"] for line in await self._run("settle", **of_settlement(settlements))}
        return [{result.row.id for result in one.results} & moved for one in settlements]

    async def _run(self, statement: str, **parameters: object) -> list[dict[str, Any]]:
        async with self._database.autocommit() as connection:
            cursor = await connection.execute(_SQL[statement], parameters)
            return await cursor.fetchall() if cursor.description else []


def apart(
    work: Callable[[Sequence[B]], Awaitable[Sequence[R]]],
) -> Callable[[Sequence[B]], Awaitable[Sequence[R | StoreRejected]]]:
    """The same work, which when PostgreSQL refuses it is done for each batch alone: one pays for no
    other.
    """

    async def each(batches: Sequence[B]) -> Sequence[R | StoreRejected]:
        try:
            return await work(batches)
        except StoreRejected as error:
            if len(batches) == 1:
                return [error]
        return [result for one in batches for result in await each([one])]

    return each


def _accepted(result: R | StoreRejected) -> R:
    if isinstance(result, StoreRejected):
        raise result
    return result


def _others(refs: Sequence[Ref], found: Sequence[dict[str, Any]]) -> list[Ref]:
    taken = {line["id"] for line in found}
    return [ref for ref in refs if ref.id not in taken]


def _claimed(
    refs: Sequence[Ref], found: Sequence[dict[str, Any]], due: dict[int, float]
) -> Claim[Row]:
    by_id = {ref.id: ref for ref in refs}
    others = sorted(by_id.keys() - {line["id"] for line in found})
    return Claim(
        rows=[_row(by_id[line["id"]], line) for line in found],
        request=Request(found[0]["request_id"], found[0]["request_at"]) if found else None,
        waiting={by_id[id_]: due[id_] for id_ in others if id_ in due},
        # Neither claimed nor to be claimed later: the row has come to its end, or is gone with its
        # week. Its message is only to be acknowledged.
        settled=[by_id[id_] for id_ in others if id_ not in due],
    )


def _row(ref: Ref, line: dict[str, Any]) -> Row:
    columns = (
        "id",
        "created_at",
        "attempts",
        "fence",
        "source_event",
        "funnel",
        "payload_json",
        "consent_ads",
        "received_at",
    )
    plain = {name: line[name] for name in columns}
    return Row(ref=ref, doubted=line["doubted"], **plain)
