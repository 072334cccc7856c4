"""The spool on disk: what was promised is there after a restart, what is full or broken is refused,
damage is told.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinal_hub.spool import Spool, SpoolBroken, SpoolEntry, SpoolFull, SpoolLimits, SpoolLocked
from sinal_hub.spool.backlog import RecordPlace, TenantBacklog
from sinal_hub.spool.record import pack
from sinal_hub.spool.segment import Segment

from tests.support.fix_spool import SMALL, SpoolWorld, entry


async def opened(world: SpoolWorld, limits: SpoolLimits = SMALL) -> Spool:
    spool = Spool(world.folder, limits=limits, on_stored=lambda _: None)
    await spool.open()
    return spool


async def everything(spool: Spool, tenant: str, *, settle: bool = True) -> list[SpoolEntry]:
    taken: list[SpoolEntry] = []

    async def deliver(entries: Sequence[SpoolEntry]) -> list[bool]:
        taken.extend(entries)
        return [settle] * len(entries)

    while (await spool.offer(tenant, 100, deliver)).shown and settle:
        pass
    return taken


async def test_records_of_a_process_that_ended_are_there_for_the_next_in_order(
    spool_world: SpoolWorld,
) -> None:
    first = await opened(spool_world)
    for number in range(300):
        await first.append([entry("loja", number)])
    await first.close()
    assert len(spool_world.segments()) > 2
    second = await opened(spool_world)
    assert second.records == 300
    assert [one.msg_id for one in await everything(second, "loja")] == [
        f"loja:{n}" for n in range(300)
    ]
    assert spool_world.segments() == []
    await second.close()


async def test_settled_records_are_not_offered_again_after_a_restart(
    spool_world: SpoolWorld,
) -> None:
    first = await opened(spool_world)
    await first.append([entry("loja", number) for number in range(10)])

    async def every_other(entries: Sequence[SpoolEntry]) -> list[bool]:
        return [at % 2 == 0 for at in range(len(entries))]

    assert await first.offer("loja", 6, every_other) == (6, 3)
    await first.close()
    second = await opened(spool_world)
    assert [one.msg_id for one in await everything(second, "loja")] == [
        f"loja:{n}" for n in (1, 3, 5, 6, 7, 8, 9)
    ]
    await second.close()


async def test_what_others_are_writing_in_the_folder_is_theirs(spool_world: SpoolWorld) -> None:
    """An edge keeps its plans beside its spool, which had taken their file away while it was being
    written.
    """
    plans, half = spool_world.folder / "plans.json.new", spool_world.folder / "0000000001.new"
    spool_world.folder.mkdir(exist_ok=True)
    plans.write_text("{}")
    half.write_bytes(b"a segment that was being rewritten")
    spool = await opened(spool_world)
    assert plans.exists()
    assert not half.exists()
    await spool.close()


async def test_torn_last_record_is_cut_off_and_the_rest_stays(spool_world: SpoolWorld) -> None:
    first = await opened(spool_world)
    await first.append([entry("loja", 1), entry("loja", 2)])
    await first.close()
    [path] = spool_world.segments()
    whole = path.read_bytes()
    path.write_bytes(whole + pack(entry("loja", 3))[:-1])
    second = await opened(spool_world)
    assert path.read_bytes() == whole
    assert (second.damaged, len(await everything(second, "loja"))) == (0, 2)
    await second.close()


async def test_damaged_record_is_skipped_and_counted(spool_world: SpoolWorld) -> None:
    first = await opened(spool_world)
    await first.append([entry("loja", number) for number in range(3)])
    await first.close()
    [path] = spool_world.segments()
    path.write_bytes(path.read_bytes().replace(b"loja-1", b"loja-x"))
    second = await opened(spool_world)
    assert second.damaged == 1
    assert [one.msg_id for one in await everything(second, "loja")] == ["loja:0", "loja:2"]
    await second.close()


async def test_record_damaged_while_it_waits_is_skipped_and_counted(
    spool_world: SpoolWorld,
) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", number) for number in range(3)])
    [path] = spool_world.segments()
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b"loja-1"))
        file.write(b"X")
    assert [one.msg_id for one in await everything(spool, "loja")] == ["loja:0", "loja:2"]
    assert (spool.damaged, spool.records) == (1, 0)
    await spool.close()


async def test_file_that_is_no_segment_is_put_aside(spool_world: SpoolWorld) -> None:
    spool_world.folder.mkdir()
    (spool_world.folder / "0000000007.seg").write_bytes(b"something else")
    spool = await opened(spool_world)
    await spool.append([entry("loja", 1)])
    assert spool.damaged == 1
    assert (spool_world.folder / "0000000007.bad").read_bytes() == b"something else"
    await spool.close()


async def test_files_are_for_their_owner_only(spool_world: SpoolWorld) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", 1)])
    modes = {stat.S_IMODE(path.stat().st_mode) for path in spool_world.folder.iterdir()}
    assert (modes, stat.S_IMODE(spool_world.folder.stat().st_mode)) == ({0o600}, 0o700)
    await spool.close()


async def test_second_process_is_told_that_the_folder_is_taken(spool_world: SpoolWorld) -> None:
    first = await opened(spool_world)
    second = Spool(spool_world.folder, limits=SMALL, on_stored=lambda _: None)
    with pytest.raises(SpoolLocked, match="SINAL_SPOOL_DIR"):
        await second.open()
    await second.close()
    await first.close()
    third = await opened(spool_world)
    await third.close()


async def test_full_spool_refuses_and_a_flood_leaves_room_for_others(
    spool_world: SpoolWorld,
) -> None:
    spool = await opened(
        spool_world, SpoolLimits(max_bytes=50_000, free_bytes=0, segment_bytes=8_192)
    )
    stored = 0
    with pytest.raises(SpoolFull, match="share"):
        while True:
            await spool.append([entry("loja", stored, size=1_000)])
            stored += 1
    assert 30 < stored < 50 and spool.bytes < 50_000
    await spool.append([entry("outra", 1, size=1_000)])
    assert len(await everything(spool, "loja")) == stored
    await spool.append([entry("loja", stored, size=1_000)])
    await spool.close()


async def test_disk_below_its_floor_is_left_alone(spool_world: SpoolWorld) -> None:
    spool = await opened(spool_world, SpoolLimits(free_bytes=1 << 60))
    with pytest.raises(SpoolFull, match="left"):
        await spool.append([entry("loja", 1)])
    assert spool.records == 0
    await spool.close()


async def test_failed_sync_is_refused_and_the_file_never_written_again(
    spool_world: SpoolWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", 1)])

    def broken(_: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("sinal_hub.spool.segment.os.fdatasync", broken)
        with pytest.raises(SpoolBroken):
            await spool.append([entry("loja", 2)])
    await spool.append([entry("loja", 3)])
    assert len(spool_world.segments()) == 2
    assert [one.msg_id for one in await everything(spool, "loja")] == ["loja:1", "loja:3"]
    await spool.close()


async def test_partly_written_batch_is_taken_back(
    spool_world: SpoolWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", 1)])
    before = spool_world.segments()[0].read_bytes()
    real = os.pwrite

    def half(descriptor: int, data: memoryview, at: int) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[: len(data) // 2], at)

    with monkeypatch.context() as patch:
        patch.setattr("sinal_hub.spool.segment.os.pwrite", half)
        with pytest.raises(SpoolBroken, match="No space"):
            await spool.append([entry("loja", 2), entry("loja", 3)])
    assert spool_world.segments()[0].read_bytes() == before
    await spool.close()


async def test_many_requests_share_a_sync(
    spool_world: SpoolWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = await opened(spool_world)
    syncs = 0
    real = Segment.append

    def counted(segment: Segment, data: bytes) -> None:
        nonlocal syncs
        syncs += 1
        real(segment, data)

    monkeypatch.setattr(Segment, "append", counted)
    await asyncio.gather(*(spool.append([entry("loja", number)]) for number in range(500)))
    assert (spool.records, syncs <= 3) == (500, True)
    await spool.close()


async def test_erasure_rewrites_what_waits_and_what_was_settled(spool_world: SpoolWorld) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", 1), entry("loja", 2), entry("outra", 1), entry("loja", 3)])

    async def first_only(entries: Sequence[SpoolEntry]) -> list[bool]:
        return [True] + [False] * (len(entries) - 1)

    await spool.offer("loja", 1, first_only)
    assert await spool.erase(lambda one: one.body[:6] not in (b"loja-1", b"loja-2")) == 1
    raw = b"".join(path.read_bytes() for path in spool_world.segments())
    assert b"loja-1" not in raw and b"loja-2" not in raw and b"outra-1" in raw
    await spool.append([entry("loja", 4)])
    assert [one.msg_id for one in await everything(spool, "loja")] == ["loja:3", "loja:4"]
    assert [one.msg_id for one in await everything(spool, "outra")] == ["outra:1"]
    await spool.close()


async def test_erasing_everything_leaves_no_file(spool_world: SpoolWorld) -> None:
    spool = await opened(spool_world)
    await spool.append([entry("loja", number) for number in range(3)])
    assert (await spool.erase(lambda _: False), spool.records, spool_world.segments()) == (3, 0, [])
    await spool.close()


async def test_one_waiting_record_does_not_pin_the_room_of_settled_ones(
    spool_world: SpoolWorld,
) -> None:
    spool = await opened(
        spool_world, SpoolLimits(max_bytes=60_000, free_bytes=0, segment_bytes=8_192)
    )
    for number in range(30):
        await spool.append([entry("loja", number, size=1_000), entry("outra", number)])
    await everything(spool, "loja")
    assert spool.bytes > 30_000
    await spool.compact()
    assert spool.bytes <= 30_000
    assert [one.msg_id for one in await everything(spool, "outra")] == [
        f"outra:{n}" for n in range(30)
    ]
    await spool.close()


steps = st.lists(
    st.tuples(st.just("push"), st.integers(1, 5))
    | st.tuples(st.just("drop"), st.sets(st.integers(0, 9), max_size=6))
    | st.tuples(st.just("move"), st.integers(0, 3)),
    max_size=40,
)


@settings(max_examples=200)
@given(steps)
def test_queue_is_a_list_of_places(taken: list[tuple[str, object]]) -> None:
    queue, model, segment, offset = TenantBacklog(), list[RecordPlace](), 0, 16
    for what, how in taken:
        if what == "push" and isinstance(how, int):
            segment, offset = segment + (how == 5), 16 if how == 5 else offset + 50
            model.append(RecordPlace(segment, offset, how))
            queue.push(model[-1], at_s=len(model))
        elif what == "drop" and isinstance(how, set):
            indexes = {at for at in how if at < len(model)}
            queue.drop(indexes)
            model = [place for at, place in enumerate(model) if at not in indexes]
        elif isinstance(how, int):
            run = [place for place in model if place.segment == how and how != segment]
            moved = {place.offset: 16 + 50 * at for at, place in enumerate(run) if at % 3}
            assert queue.move(how if how != segment else 99, moved) == len(run) - len(moved)
            model = [
                place._replace(offset=moved[place.offset]) if place in run else place
                for place in model
                if place not in run or place.offset in moved
            ]
        assert queue.first(1_000) == model
        assert queue.bytes == sum(place.size for place in model)
