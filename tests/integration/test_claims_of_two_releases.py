"""Claims have a new name: processes of the release before, of this one and of the next share them."""

from __future__ import annotations

import pytest

from tests.support.fix_matching import Room

# as 0.2 has it
CLAIM_OF_THE_RELEASE_BEFORE = """
insert into dedupe_registry as held (tenant_id, event_id, source, owner, expires_at)
values ('loja', 'Purchase:hotmart:HP1', 'meta', 'ev_before', null)
on conflict (tenant_id, event_id) do update set owner = excluded.owner where held.expires_at < now()
returning event_id
"""
# what the next release does while processes of this one still run
RENAME = "alter table dedupe_registry rename column event_id to claim_key"


async def _run(room: Room, statement: str) -> list[object]:
    async with room.database.transaction() as connection:
        cursor = await connection.execute(statement.encode())
        return list(await cursor.fetchall()) if cursor.description else []


async def test_what_the_release_before_claimed_is_not_sent_again(room: Room) -> None:
    assert await _run(room, CLAIM_OF_THE_RELEASE_BEFORE)
    sale = room.sale()
    await room.deliver(sale)
    assert await room.outcome(sale) == ("withheld", "duplicate")


async def test_what_this_release_claimed_the_one_before_leaves_alone(room: Room) -> None:
    await room.deliver(room.sale())
    assert await _run(room, CLAIM_OF_THE_RELEASE_BEFORE) == []


@pytest.mark.parametrize("renamed_after", [0, 1])
async def test_the_next_release_renames_the_column_under_this_one(
    room: Room, renamed_after: int
) -> None:
    first, again = room.sale(), room.sale(at=1)
    if renamed_after == 0:
        await _run(room, RENAME)
    await room.deliver(first)
    if renamed_after == 1:
        await _run(room, RENAME)
    await room.deliver(again)
    assert await room.outcome(again) == ("withheld", "duplicate")
    assert len(await room.sent()) == 1
