"""A full outbox: rows of `capi_events` as matching writes them, and a message for each, ready to be
dispatched.
"""

from __future__ import annotations

import msgspec
import psycopg

from sinal_core.nats import Bus, Outgoing
from sinal_core.outbox.messages import Pointer
from sinal_crds import names
from sinal_hub.model.events import encode

_HASH = "a" * 64
# What a matched sale comes to; event_id and event_time differ.
_PAYLOAD = {
    "event_name": "Purchase",
    "action_source": "website",
    "event_source_url": "https://curso.example/oferta?utm_source=fb&utm_medium=cpc&utm_campaign=Novembro",
    "referrer_url": "https://l.facebook.com/",
    "user_data": {
        **{
            field: [_HASH]
            for field in ("em", "ph", "fn", "ln", "ct", "st", "zp", "country", "external_id")
        },
        "client_ip_address": "189.10.20.30",
        "client_user_agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) "
        "AppleWebKit/605.1.15",
        "fbc": "fb.1.1700000000000.IwAR0aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
        "fbp": "fb.1.1700000000000.1234567890",
    },
    "custom_data": {
        "value": 297.0,
        "currency": "BRL",
        "order_id": "HP16015479281022",
        "content_type": "product",
        "contents": [{"id": "4774438", "quantity": 1, "item_price": 297.0}],
    },
}
_FILL = """
insert into capi_events (created_at, tenant_id, source_event, funnel, destination, event_name, event_id, event_time,
    payload_json, received_at, published_at)
select date_trunc('milliseconds', now() - make_interval(secs => (%(rows)s - g) / 10000.0)), %(tenant)s,
    'ev_bench' || g, %(funnel)s, %(destination)s, 'Purchase', 'bench-' || %(tenant)s || g,
    extract(epoch from now())::bigint,
    replace(replace(%(payload)s, '"@id"', '"bench-' || %(tenant)s || g || '"'), '"@at"',
        (extract(epoch from now())::bigint)::text), now(), now()
from generate_series(1, %(rows)s) g
returning id, created_at
"""
_CHUNK = 2_000


async def fill(database: str, nats: str, *, slug: str, destination: str, rows: int) -> None:
    """Write so many rows of one destination and queue their messages."""
    payload = msgspec.json.encode({**_PAYLOAD, "event_id": "@id", "event_time": "@at"}).decode()
    values = {
        "rows": rows,
        "tenant": slug,
        "funnel": f"curso-{slug}",
        "destination": destination,
        "payload": payload,
    }
    async with await psycopg.AsyncConnection.connect(database) as connection:
        made = await (await connection.execute(_FILL, values)).fetchall()
    bus = await Bus.connect(nats, name="bench-fill")
    subject = names.out_subject(slug, destination)
    for start in range(0, rows, _CHUNK):
        part = made[start : start + _CHUNK]
        bodies = [
            (id_, encode(Pointer(id=id_, created_at=round(at.timestamp() * 1000))))
            for id_, at in part
        ]
        answers = await bus.publish_many(
            [Outgoing(subject, body, f"bench:{id_}") for id_, body in bodies]
        )
        if refused := [answer for answer in answers if isinstance(answer, Exception)]:
            raise refused[0]
    await bus.close()
