"""The statements of matching: what one batch of one tenant reads and writes inside its transaction.

Set-based: the number of round trips grows neither with the batch nor with the tenants of a
transaction (`gate`). Locks are taken in one order everywhere, each sorted by tenant and key, so
that concurrent batches queue up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from psycopg.rows import DictRow

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_core.postgres.errors import Contended
from sinal_core.postgres.shared_transaction import (
    DirectQueue,
    SharedQueue,
    Stage,
    StatementQueue,
    together,
)
from sinal_crds.plan import TenantPlan
from sinal_hub.model.events import UserData, Utm, decode_event
from sinal_hub.model.evidence import Candidate, network_of, part_of
from sinal_hub.model.signals import (
    ADDRESS_WINDOW_MS,
    CLOCK_SKEW_MS,
    MAX_PER_ADDRESS,
    MAX_PER_KEY,
    PROOF_MS,
    SURE_SKEW_MS,
)
from sinal_hub.model.times import moment
from sinal_hub.store import matching_rows
from sinal_hub.store.matching_rows import ClickRow, IdentityRow, OpenKey, SessionRow

T = TypeVar("T")
_SQL = queries.load("sinal_hub.store", "matching")
_json = msgspec.json.Encoder()
_utm = msgspec.json.Decoder(Utm)
_user = msgspec.json.Decoder(UserData)

# Columns of `clicks` that a candidate carries under the same name.
_SAME = (
    "click_id",
    "funnel",
    "session_id",
    "external_id",
    "fbclid",
    "fbc",
    "fbp",
    "ip",
    "url",
    "referrer",
    "emails",
    "phones",
    "products",
    "from_ad",
    "consent_ads",
)


# What is looked for in `clicks`: lists of the subject, under the same name in the question.
_ASKED = ("click_ids", "session_ids", "external_ids", "fbclids", "fbps", "emails", "phones")

# In this sequence a batch asks, and transactions lock: claims of deliveries, visitors, orders,
# claims of Meta events.
_SEQUENCE = (
    ("heard", "heard"),
    ("arrivals", "claim"),
    ("known_events", "known_events"),
    ("repeats_before", "count_repeats"),
    ("marked", "marked"),
    ("marks", "marks"),
    ("erased_events", "insert_events"),
    ("lock_names", "lock_names"),
    ("learn_names", "learn_names"),
    ("orders_of_names", "orders_of_names"),
    ("first_charges", "first_charges"),
    ("known_clicks", "known_clicks"),
    ("update_clicks", "update_clicks"),
    ("insert_clicks", "insert_clicks"),
    ("upsert_sessions", "upsert_sessions"),
    ("upsert_identities", "upsert_identities"),
    ("reopenable", "reopenable"),
    ("misnamed_orders", "misnamed_orders"),
    ("create_orders", "create_orders"),
    ("order_ids", "order_ids"),
    ("known_orders", "order_ids"),
    ("due_orders", "lock_due_orders"),
    ("lock_orders", "lock_orders"),
    ("merge_orders", "merge_orders"),
    ("matches_of", "matches_of"),
    ("candidates", "candidates"),
    ("open_events", "open_events"),
    ("claim", "claim"),
    ("add_capi_events", "add_capi_events"),
    ("save_orders", "save_orders"),
    ("open_orders", "open_orders"),
    ("close_orders", "close_orders"),
    ("save_matches", "save_matches"),
    ("proven_identities", "upsert_identities"),
    ("insert_events", "insert_events"),
    ("count_repeats", "count_repeats"),
    ("update_outcomes", "update_outcomes"),
    ("withdraw_clicks", "withdraw_clicks"),
    ("unpublished_of", "unpublished_of"),
)
_CONSTANTS: dict[str, dict[str, object]] = {
    "candidates": {"per_address": MAX_PER_ADDRESS, "per_key": MAX_PER_KEY}
}
_STAGES = {
    name: Stage(place, _SQL[statement], _CONSTANTS.get(name, {}))
    for place, (name, statement) in enumerate(_SEQUENCE)
}


async def enter(connection: Connection, tenants: Sequence[str]) -> None:
    """The first statement: what a person asked of their data is in force before a batch begins, or
    after it.
    """
    await connection.execute(_SQL["enter"], {"tenants": list(tenants)})


class MatchTransaction:
    """One tenant's batch; everything in it happens or nothing does."""

    def __init__(self, tenant: str, gate: StatementQueue) -> None:
        self._tenant = tenant
        self._gate = gate

    async def is_marked(self) -> bool:
        """Whether anything was ever asked about anybody of this tenant."""
        return bool(await self._ask("marked", [self._tenant]))

    async def marks(self, keys: Sequence[str]) -> list[matching_rows.Mark]:
        """What was asked about the people behind these keys."""
        return [matching_rows.Mark(**row) for row in await self._ask("marks", keys)]

    async def heard(self, beats: Sequence[str]) -> None:
        """Note that these heartbeats came through."""
        await self._ask("heard", beats)

    async def withdraw_clicks(self, click_ids: Sequence[str]) -> None:
        """Stop what waits of visitors whose latest word on ads is no."""
        await self._ask("withdraw_clicks", sorted(set(click_ids)))

    async def new_events(self, delivered: Sequence[matching_rows.Delivered]) -> set[str]:
        """Ids of the events that were never handled.

        Repeats of the others are counted on their rows.
        """
        # A sender's own key may come again months later, when its row may be in another week or
        # gone: only a claim tells. Any other id comes again with its time, and is looked up by
        # both.
        natural = [
            matching_rows.KeyClaim(
                key=f"in:{one.id}", source="event", owner=one.id, expires_at=one.expires_at
            )
            for one in delivered
            if one.natural
        ]
        new = {row["key"].removeprefix("in:") for row in await self._ask("arrivals", natural)}
        others = [one for one in delivered if not one.natural]
        known = {row["id"] for row in await self._ask("known_events", others)}
        new |= {one.id for one in others} - known
        return new

    async def count_repeats(self, times: dict[str, int], *, before: bool = False) -> None:
        """Add to the counters of events that came again; `before` this batch, or in it."""
        stage = "repeats_before" if before else "count_repeats"
        await self._ask(stage, [matching_rows.Repeats(key, times[key]) for key in sorted(times)])

    async def claim(self, claims: Sequence[matching_rows.KeyClaim]) -> set[str]:
        """Keys won by this batch; each key may be in `claims` once."""
        return {row["key"] for row in await self._ask("claim", claims)}

    async def learn_clicks(self, clicks: Sequence[ClickRow]) -> None:
        """Store what visitors showed of themselves."""
        # `clicks` is partitioned by time, where PostgreSQL has no unique key over click ids alone.
        # Two workers may store a visitor twice: `merge_candidates` makes one of the two rows.
        found = {
            row["click_id"]: row
            for row in await self._ask("known_clicks", list(map(_click_key, clicks)))
        }
        known = [
            msgspec.structs.replace(click, id=row["id"], known_ts=row["ts"])
            for click in clicks
            if (row := found.get(click.click_id)) is not None
        ]
        await self._ask("update_clicks", known)
        await self._ask("insert_clicks", [click for click in clicks if click.click_id not in found])

    async def learn_sessions(self, sessions: Sequence[SessionRow]) -> None:
        """Store which click ids a session had."""
        await self._ask("upsert_sessions", sessions)

    async def learn_identities(
        self, identities: Sequence[IdentityRow], *, proven: bool = False
    ) -> None:
        """Store which hashes were seen with a click; `proven` by a sale, or told by a visit."""
        await self._ask("proven_identities" if proven else "upsert_identities", identities)

    async def learn_names(self, names: Sequence[matching_rows.NameRow]) -> None:
        """Store what orders are called besides, and whose trial began; one row a name."""
        await self._ask("learn_names", names)

    async def lock_names(self) -> None:
        """Let no other batch of this tenant learn or ask names until the end of the transaction."""
        await self._ask("lock_names", [self._tenant])

    async def orders_of(self, names: Sequence[matching_rows.Named]) -> dict[tuple[str, str], str]:
        """Keys of the orders that these names mean, by gateway and name."""
        found = await self._ask("orders_of_names", names)
        return {(row["gateway"], row["name"]): row["order_key"] for row in found}

    async def first_charges(
        self, charges: Sequence[matching_rows.FirstCharge]
    ) -> set[tuple[str, str]]:
        """Gateway and key of first charges after a trial.

        Each subscription may be in `charges` once.
        """
        return {
            (row["gateway"], row["order_key"]) for row in await self._ask("first_charges", charges)
        }

    async def misnamed_orders(
        self, aliases: Sequence[matching_rows.Alias]
    ) -> list[matching_rows.Misnamed]:
        """Orders that were opened under one of these names."""
        return [
            matching_rows.Misnamed(**row) for row in await self._ask("misnamed_orders", aliases)
        ]

    async def merge_orders(self, merges: Sequence[matching_rows.Merge]) -> None:
        """Move what was told under a name to its order; both are locked."""
        await self._ask("merge_orders", merges)

    async def order_ids(self, orders: Sequence[matching_rows.NewOrder]) -> list[int]:
        """Ids of these orders, whose rows are made if missing."""
        await self._ask("create_orders", orders)
        keys = [matching_rows.OrderKey(order.gateway, order.order_key) for order in orders]
        return [row["id"] for row in await self._ask("order_ids", keys)]

    async def known_orders(self, keys: Sequence[tuple[str, str]]) -> list[int]:
        """Ids of the orders of these gateways and keys that are there."""
        return [
            row["id"]
            for row in await self._ask(
                "known_orders", [matching_rows.OrderKey(*key) for key in keys]
            )
        ]

    async def lock_orders(self, ids: Sequence[int]) -> list[matching_rows.OrderRow]:
        """The orders' rows, locked until the end of the transaction."""
        return [_order(row) for row in await self._ask("lock_orders", sorted(ids))]

    async def lock_due_orders(self, now: datetime, limit: int) -> list[matching_rows.OrderRow]:
        """Orders whose wait or second look is due and that nobody else is working on."""
        return [
            _order(row) for row in await self._ask("due_orders", [matching_rows.Due(now, limit)])
        ]

    async def reopenable(self, keys: Sequence[OpenKey]) -> list[int]:
        """Orders without a match that share a key with these visits."""
        return [row["id"] for row in await self._ask("reopenable", keys)]

    async def matches_of(self, ids: Sequence[int]) -> dict[int, matching_rows.KnownMatch]:
        """The decisions that stand, by order."""
        return {
            row["conversion_id"]: matching_rows.KnownMatch(
                row["click_id"], row["decision"], row["confidence_score"], row["rule_applied"]
            )
            for row in await self._ask("matches_of", ids)
        }

    async def candidates(
        self, wanted: dict[int, matching_rows.OrderQuery]
    ) -> dict[int, list[Candidate]]:
        """Visits that share anything with each order, other ad clicks of their browsers, and the
        click that stands.
        """
        asked = [_question(order, one) for order, one in wanted.items()]
        found: dict[int, list[Candidate]] = {order: [] for order in wanted}
        for row in await self._ask("candidates", asked):
            found[row["conversion_id"]].append(_candidate(row))
        return found

    async def save_orders(self, orders: Sequence[matching_rows.OrderRow]) -> None:
        """Write locked orders back."""
        await self._ask("save_orders", orders)

    async def open_orders(self, keys: Sequence[matching_rows.OpenOrder]) -> None:
        """Let late clicks find these orders."""
        await self._ask("open_orders", keys)

    async def close_orders(self, ids: Sequence[int]) -> None:
        """No late click is wanted any more."""
        await self._ask("close_orders", ids)

    async def save_matches(self, matches: Sequence[matching_rows.MatchRow]) -> None:
        """Write decisions, over those that stood before."""
        await self._ask("save_matches", matches)

    async def add_capi_events(
        self, events: Sequence[matching_rows.CapiRow]
    ) -> list[matching_rows.Outbox]:
        """Fill the outbox.

        Rows of delivered events are marked, for they come again until they are published.
        """
        return [self._outbox(row) for row in await self._ask("add_capi_events", events)]

    async def insert_events(
        self, events: Sequence[matching_rows.EventRow], *, erased: bool = False
    ) -> None:
        """Record accepted facts; raises Contended when another worker is recording one of them."""
        if len(await self._ask("erased_events" if erased else "insert_events", events)) != len(
            events
        ):
            raise Contended("an event of this batch is being handled by another worker")

    async def update_outcomes(self, outcomes: Sequence[matching_rows.OutcomeRow]) -> None:
        """Record what became of events that waited or were withheld."""
        await self._ask("update_outcomes", outcomes)

    async def open_events(self, orders: Sequence[int]) -> list[matching_rows.OpenEvent]:
        """Sales of these orders that may still be sent, oldest first."""
        return [
            matching_rows.OpenEvent(
                row["conversion_id"], row["outcome"] == "waiting", decode_event(row["body"])
            )
            for row in await self._ask("open_events", orders)
        ]

    async def unpublished_of(self, events: Sequence[str]) -> list[matching_rows.Outbox]:
        """Outbox rows of these events that were not published, or maybe not."""
        return [self._outbox(row) for row in await self._ask("unpublished_of", events)]

    async def _ask(self, stage: str, batch: Sequence[object]) -> list[DictRow]:
        return await self._gate.ask(_STAGES[stage], self._tenant, batch) if batch else []

    def _outbox(self, row: DictRow) -> matching_rows.Outbox:
        return _outbox(row | {"tenant_id": self._tenant})


class MatchStore:
    """What the match worker needs of PostgreSQL.

    Every method raises StoreUnavailable or StoreRejected.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def transaction(self, tenant: str) -> AsyncIterator[MatchTransaction]:
        """One tenant's transaction, as the worker."""
        async with self._entered([tenant]) as connection:
            yield MatchTransaction(tenant, DirectQueue(connection))

    async def in_one_transaction(
        self,
        tenants: Sequence[str],
        work: Callable[[int, MatchTransaction], Coroutine[Any, Any, T]],
    ) -> list[T]:
        """Run `work` for each of these different tenants, side by side.

        Everything of all happens or nothing does.
        """
        async with self._entered(tenants) as connection:
            gate = SharedQueue()
            return await together(
                connection,
                [
                    work(place, MatchTransaction(tenant, gate))
                    for place, tenant in enumerate(tenants)
                ],
            )

    @asynccontextmanager
    async def _entered(self, tenants: Sequence[str]) -> AsyncIterator[Connection]:
        async with self._database.transaction() as connection:
            await enter(connection, tenants)
            yield connection

    async def unpublished(self, *, older_than_s: float, limit: int) -> list[matching_rows.Outbox]:
        """Outbox rows of all tenants that wait longer than they should, oldest first."""
        return [
            _outbox(row)
            for row in await self._ask("unpublished", older_than_s=older_than_s, limit=limit)
        ]

    async def mark_published(
        self, taken: Sequence[matching_rows.Outbox], refused: Sequence[matching_rows.Outbox] = ()
    ) -> None:
        """Remember which of these rows the bus has, where their mark says otherwise."""
        # Rows of delivered events were marked when they were written: mostly nothing is to be done
        # here.
        wrong = [(row, True) for row in taken if not row.marked] + [
            (row, False) for row in refused if row.marked
        ]
        if not wrong:
            return
        marks = [
            {"id": row.id, "generation": row.generation, "published": published}
            for row, published in sorted(wrong, key=lambda mark: mark[0].id)
        ]
        moments = [row.created_at for row, _ in wrong]
        values = {
            "rows": _json.encode(marks).decode(),
            "since": min(moments),
            "until": max(moments),
        }
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["mark_published"], values)

    async def left_over(self, now: datetime, *, older_than_s: float) -> matching_rows.LeftOver:
        """What no message brings, if there is any now."""
        (row,) = await self._ask("left_over", now=now, older_than_s=older_than_s)
        return matching_rows.LeftOver(**row)

    async def close_old_orders(self, *, before: datetime, limit: int = 500) -> None:
        """Forget the keys of unmatched orders that no late click can reach any more."""
        async with self._database.autocommit() as connection:
            await connection.execute(_SQL["close_old_orders"], {"before": before, "limit": limit})

    async def dead_letter(self, letter: matching_rows.DeadLetter) -> None:
        """Record a message given up, and its event where it could be read."""
        head = letter.event
        async with self._database.transaction() as connection:
            values: dict[str, Any] = msgspec.structs.asdict(letter) | {
                "event_row": head.id if head else None
            }
            if head is not None:
                event = msgspec.structs.asdict(head) | {
                    "tenant": letter.tenant,
                    "reason": letter.reason,
                }
                await connection.execute(_SQL["dead_event"], event)
            await connection.execute(_SQL["dead_letter"], values)

    async def record_plans(self, plans: Sequence[TenantPlan]) -> None:
        """Keep `tenants` and `funnels` as the plans have them, without any secret."""
        tenants = [
            {
                "id": plan.slug,
                "name": plan.name,
                "plan": plan.limits,
                "status": "suspended" if plan.suspended else "active",
                "funnels": [funnel.name for funnel in plan.funnels],
            }
            for plan in sorted(plans, key=lambda plan: plan.slug)
        ]
        funnels = [
            {
                "tenant": plan.slug,
                "name": funnel.name,
                "type": funnel.type,
                "config": msgspec.structs.replace(
                    funnel, server_key_sha256="", earlier_server_keys_sha256=()
                ),
            }
            for plan in plans
            for funnel in plan.funnels
        ]
        values = {
            "tenants": _json.encode(tenants).decode(),
            "funnels": _json.encode(funnels).decode(),
        }
        async with self._database.transaction() as connection:
            for statement in ("upsert_tenants", "upsert_funnels", "retire_funnels"):
                await connection.execute(_SQL[statement], values)

    async def _ask(self, name: str, **values: object) -> list[DictRow]:
        async with self._database.autocommit() as connection:
            return await (await connection.execute(_SQL[name], values)).fetchall()


def _click_key(click: ClickRow) -> matching_rows.ClickKey:
    return matching_rows.ClickKey(click.click_id, click.ts)


def _question(order: int, wanted: matching_rows.OrderQuery) -> matching_rows.VisitQuery:
    subject = wanted.subject
    return matching_rows.VisitQuery(
        **{name: getattr(subject, name) for name in _ASKED},
        id=order,
        chosen=wanted.chosen,
        parts=sorted({part for click_id in subject.click_ids if (part := part_of(click_id))}),
        networks=sorted(set(map(network_of, subject.ips))),
        since=moment(subject.bought_at - wanted.window_s * 1000),
        proof_since=moment(subject.bought_at - PROOF_MS),
        until=moment(subject.bought_at + SURE_SKEW_MS),
        ip_since=moment(min(subject.first_at, subject.bought_at) - ADDRESS_WINDOW_MS),
        ip_until=moment(subject.bought_at + CLOCK_SKEW_MS),
    )


def _order(row: DictRow) -> matching_rows.OrderRow:
    values = {name: row[name] for name in matching_rows.OrderRow.__struct_fields__}
    return matching_rows.OrderRow(**values | {"signals": msgspec.Raw(row["signals_text"])})


def _candidate(row: DictRow) -> Candidate:
    return Candidate(
        **{name: row[name] for name in _SAME},
        first_at=_ms(row["first_at"]),
        last_at=_ms(row["last_seen_at"]),
        user_agent=row["ua"],
        utm=_utm.decode(row["utms"]),
        user=_user.decode(row["user_data"]),
    )


def _outbox(row: DictRow) -> matching_rows.Outbox:
    return matching_rows.Outbox(**row)


def _ms(at: datetime) -> int:
    return round(
        (at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)
    )
