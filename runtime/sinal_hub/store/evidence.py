"""What an event's detail tells beside its own row: its clicks, what its order told of the buyer,
what was sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from sinal_core.postgres import queries
from sinal_core.postgres.database import Connection, Database
from sinal_hub.meta.repairs import DROPPED_FIELD, NAMELESS_ITEM
from sinal_hub.model.evidence import Subject
from sinal_hub.model.signals import ADDRESS_WINDOW_MS

_SQL = queries.load("sinal_hub.store", "evidence")
_ADDRESS = timedelta(milliseconds=ADDRESS_WINDOW_MS)

Param = str | int | float | None


class Note(msgspec.Struct, kw_only=True, frozen=True):
    """One reason, as a stable word with what its sentence needs; times in `params` are RFC 3339."""

    code: str
    params: dict[str, Param] = {}


class ClickSeen(msgspec.Struct, kw_only=True, frozen=True):
    """The visit behind a click id: `url` and `referrer` are those of its first page, `utm` those of
    its links.
    """

    click_id: str
    funnel: str
    first_at: datetime
    last_at: datetime
    url: str | None
    referrer: str | None
    utm: dict[str, str]
    from_ad: bool


class Sent(msgspec.Struct, kw_only=True, frozen=True):
    """Names of the fields that an event goes to Meta with, by their part.

    Never a value of `user_data`.
    """

    event_name: str | None
    action_source: str | None
    fields: list[str]
    user_data: list[str]
    custom_data: list[str]


class Letter(msgspec.Struct, kw_only=True, frozen=True):
    """Why a delivery was given up; without a destination, why the event was before it had any."""

    destination: str | None
    reason: str
    detail: str | None


class Evidence(msgspec.Struct, kw_only=True, frozen=True):
    """What is known around the match of a sale.

    `subject` is None where its order's data is gone, or it has none.
    """

    integration: str | None = None
    hold_until: datetime | None = None
    subject: Subject | None = None
    clicks: dict[str, ClickSeen] = {}
    email_at: datetime | None = None
    phone_at: datetime | None = None
    address_seen: bool = False
    page_at: datetime | None = None
    letters: list[Letter] = []


class _Part(msgspec.Struct, frozen=True):
    event_name: str | None = None
    action_source: str | None = None
    user_data: dict[str, object] = {}
    custom_data: dict[str, object] = {}


def sent(payload: str) -> Sent:
    """The fields of a payload; none of one that was erased."""
    try:
        names = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
        part = msgspec.json.decode(payload, type=_Part)
    except msgspec.MsgspecError:
        names, part = {}, _Part()
    return Sent(
        event_name=part.event_name,
        action_source=part.action_source,
        fields=[name for name in names if name not in ("user_data", "custom_data")],
        user_data=sorted(part.user_data),
        custom_data=sorted(part.custom_data),
    )


def left_out(subcodes: Sequence[int | None]) -> list[str]:
    """Fields that a claim's next request goes without, after answers with these subcodes."""
    paths = [".".join(DROPPED_FIELD[code]) for code in subcodes if code in DROPPED_FIELD]
    return paths + (["custom_data.contents[] without id"] if NAMELESS_ITEM in subcodes else [])


class EvidenceStore:
    """Every method raises StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(
        self,
        tenant: str,
        event: str,
        *,
        funnel: str,
        click_ids: Sequence[str],
        gave_up: bool = False,
    ) -> Evidence:
        """What is known around one event of a tenant; dead letters of one that `gave_up`."""
        async with self._database.transaction(tenant=tenant) as connection:
            scope = {"tenant": tenant, "id": event}
            row = await (await connection.execute(_SQL["subject"], scope)).fetchone() or {}
            found = await connection.execute(
                _SQL["clicks"], {"tenant": tenant, "click_ids": list(click_ids)}
            )
            clicks = {
                one["click_id"]: msgspec.convert(one, ClickSeen) for one in await found.fetchall()
            }
            letters = (
                await (await connection.execute(_SQL["letters"], scope)).fetchall()
                if gave_up
                else []
            )
            subject = _subject(row.get("signals"))
            seen = {} if subject is None else await _seen(connection, tenant, funnel, subject)
        told = {name: row.get(name) for name in ("integration", "hold_until")}
        return msgspec.structs.replace(
            msgspec.convert(told | seen, Evidence),
            subject=subject,
            clicks=clicks,
            letters=msgspec.convert(letters, list[Letter]),
        )


def _subject(signals: str | None) -> Subject | None:
    return None if signals in (None, "{}") else msgspec.json.decode(signals or "", type=Subject)


async def _seen(
    connection: Connection, tenant: str, funnel: str, subject: Subject
) -> dict[str, object]:
    values = {
        "tenant": tenant,
        "funnel": funnel,
        "emails": subject.emails,
        "phones": subject.phones,
        "ips": subject.ips,
        "ip_since": datetime.fromtimestamp(subject.first_at / 1000, UTC) - _ADDRESS,
        "ip_until": datetime.fromtimestamp(subject.bought_at / 1000, UTC) + _ADDRESS,
    }
    return dict(await (await connection.execute(_SQL["seen"], values)).fetchone() or {})
