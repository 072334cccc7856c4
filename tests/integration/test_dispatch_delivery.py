"""Delivery end to end on a real PostgreSQL and a real Meta emulator: what was promised happens,
whatever fails.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from sinal_core.aio.breaker import Policy
from sinal_core.outbox.ledger import Ref
from sinal_core.outbox.testing import FakeMessage
from sinal_crds.plan import BatchPlan, ConsentPlan, DataProcessing

from tests.support.fix_dispatch import PATIENT_S, TOKEN, DispatchRig


async def until_taken(rig: DispatchRig, *refs: Ref, timeout_s: float = 60) -> list[FakeMessage]:
    """Deliver the messages again as the broker would, until all are settled for good."""
    deadline = time.monotonic() + timeout_s
    while True:
        messages = await rig.handle(*refs)
        if all(message.settlement == "ack" for message in messages):
            return messages
        assert time.monotonic() < deadline, [m.settlement for m in messages]
        await asyncio.sleep(0.1)
        rig.make_due()


async def test_an_event_is_delivered_and_the_ledger_knows_the_answer(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"
    assert [seen["event"]["event_id"] for seen in await rig.received()] == ["e1"]
    row = rig.row(ref)
    assert (row["status"], row["attempts"], row["in_doubt"], row["lease_until"]) == (
        "delivered",
        1,
        0,
        None,
    )
    assert row["settled_at"] is not None
    (attempt,) = rig.rows("select * from dispatch_attempts")
    assert (attempt["outcome"], attempt["http_status"], attempt["attempt_no"]) == (
        "delivered",
        200,
        1,
    )
    (request,) = rig.rows("select * from dispatch_requests")
    assert request["id"] == attempt["request_id"]
    assert (request["events"], request["http_status"]) == (1, 200)
    assert request["fbtrace_id"]
    assert '"events_received"' in request["answer"]


async def test_a_redelivered_message_sends_nothing_twice(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    ref = await rig.add("e1")
    await rig.handle(ref, ref)
    (again,) = await rig.handle(ref)
    (gone,) = await rig.handle(Ref(ref.id + 1_000, ref.created_ms))
    assert (again.settlement, gone.settlement) == ("ack", "ack")
    assert len(await rig.received()) == 1


async def test_a_thousand_events_share_a_request_and_more_are_split(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    rig.plan(batch=BatchPlan(max_events=400))
    refs = [await rig.add(f"e{n}") for n in range(1_000)]
    messages = await rig.handle(*refs)
    assert {message.settlement for message in messages} == {"ack"}
    assert sorted(request["events"] for request in await rig.requests()) == [200, 400, 400]
    assert len(await rig.received()) == 1_000


async def test_a_server_error_is_tried_again_and_recovers(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "status_500", "times": 1})
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    row = rig.row(ref)
    assert (row["status"], row["attempts"]) == ("pending", 1)
    await until_taken(rig, ref)
    assert rig.outcomes(ref) == ["retry", "delivered"]
    assert len(await rig.received()) == 1


async def test_a_row_that_is_not_due_keeps_its_message(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    ref = await rig.add("e1")
    rig.rows("update capi_events set next_attempt_at = now() + interval '30 seconds'")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    assert message.delay_s == pytest.approx(30, abs=2)
    assert await rig.received() == []


async def test_one_poisoned_event_costs_no_other_its_delivery(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "error", "event_id": "e17", "code": 100, "subcode": 2804019})
    refs = [await rig.add(f"e{n}") for n in range(50)]
    messages = await rig.handle(*refs)
    assert {message.settlement for message in messages} == {"ack"}
    taken = [seen["event"]["event_id"] for seen in await rig.received()]
    assert sorted(taken) == sorted(f"e{n}" for n in range(50) if n != 17)
    poisoned = rig.row(refs[17])
    assert (poisoned["status"], poisoned["reason"], poisoned["attempts"]) == ("dead", "rejected", 1)
    (letter,) = rig.rows("select * from dead_letters")
    assert (letter["stage"], letter["reason"], letter["event_row"], letter["destination"]) == (
        "dispatch",
        "rejected",
        "ev_e17",
        "principal",
    )
    assert "2804019" in letter["detail"]
    assert '"event_id":"e17"' in letter["body"].replace(" ", "")
    assert rig.outcomes(refs[17])[-1] == "refused"
    assert rig.rows("select 1 from dispatch_attempts where outcome is null") == []
    assert len(await rig.requests()) <= 15


async def test_a_refused_click_id_is_left_out_and_the_event_arrives(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "error", "code": 100, "subcode": 2804001, "times": 1})
    fbc = f"fb.1.{int(time.time() * 1000) - 1000}.IwAR1"
    ref = await rig.add("e1", user_data={"fbc": fbc, "fbp": "fb.1.1795345200000.12345"})
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"
    (seen,) = await rig.received()
    assert "fbc" not in seen["event"]["user_data"]
    assert rig.outcomes(ref) == ["retry", "delivered"]


async def test_throttling_stops_the_destination_for_the_time_given_and_burns_no_attempt(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "throttle", "code": 80004, "retry_after_s": 1, "times": 1})
    first, second = await rig.add("e1"), await rig.add("e2")
    (message,) = await rig.handle(first)
    assert message.settlement == "hold"
    (other,) = await rig.handle(second)
    assert other.settlement == "hold"
    assert other.delay_s is not None
    assert 0 < other.delay_s <= 61
    assert len(await rig.requests()) == 1
    assert rig.outcomes(first) == ["throttled"]
    assert rig.row(first)["attempts"] == 0
    assert rig.row(second)["attempts"] == 0


async def test_a_dead_token_pauses_the_destination_and_a_new_one_starts_it_again(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    rig.worker = rig.new_worker(Policy(threshold=3, base_s=0.6, cap_s=4.0, pause_base_s=3.0))
    await rig.fault({"kind": "auth", "times": 3})
    refs = [await rig.add(f"e{n}") for n in range(5)]
    for message in await rig.handle(*refs):
        assert message.settlement == "hold"
    for message in await rig.handle(*refs):  # at once again: paused, not asked
        assert message.settlement == "hold"
    assert len(await rig.requests()) == 1
    await until_taken(rig, *refs)
    assert [rig.row(ref)["status"] for ref in refs] == ["delivered"] * 5
    assert [rig.row(ref)["attempts"] for ref in refs] == [1] * 5
    # the batch, then one event a probe
    assert sum(rig.outcomes(ref).count("auth") for ref in refs) == 5 + 1 + 1


async def test_a_new_token_is_tried_at_once(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "auth", "times": 1})
    ref = await rig.add("e1")
    await rig.handle(ref)
    rig.make_due()
    rig.plan(access_token="EAAB-new")
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"


async def test_a_timeout_after_meta_took_it_is_in_doubt_and_retried_under_the_same_id(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    rig.wait_for_meta(2)
    await rig.fault({"kind": "accept_then_hang", "times": 1})
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    assert (rig.row(ref)["status"], rig.row(ref)["in_doubt"]) == ("pending", 1)
    rig.wait_for_meta(PATIENT_S)
    await until_taken(rig, ref)
    assert rig.outcomes(ref) == ["in_doubt", "delivered"]
    assert [(seen["event"]["event_id"], seen["duplicate"]) for seen in await rig.received()] == [
        ("e1", False),
        ("e1", True),
    ]


async def test_a_parking_destination_leaves_a_doubt_to_a_person(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.plan(on_doubt="Park")
    await rig.fault({"kind": "accept_then_reset", "times": 1})
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"
    row = rig.row(ref)
    assert (row["status"], row["reason"], row["in_doubt"]) == ("dead", "in_doubt", 1)
    assert rig.rows("select reason from dead_letters") == [{"reason": "in_doubt"}]
    assert len(await rig.received()) == 1


async def test_a_proxys_html_page_is_survived(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "html", "times": 1})
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    await until_taken(rig, ref)
    assert rig.row(ref)["status"] == "delivered"


async def test_an_unknown_refusal_is_tried_a_few_times_and_then_kept_for_a_person(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "error", "event_id": "e1", "code": 987654, "status": 400})
    ref = await rig.add("e1")
    await until_taken(rig, ref, timeout_s=120)
    row = rig.row(ref)
    assert (row["status"], row["reason"]) == ("dead", "exhausted")
    assert rig.outcomes(ref) == ["refused"] * 8


async def test_a_crash_between_claim_and_answer_is_resent_once_and_marked(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "accept_then_hang", "times": 1})
    ref = await rig.add("e1")
    lost = asyncio.create_task(rig.handle(ref))
    while not await rig.received():
        await asyncio.sleep(0.02)
    lost.cancel()
    await asyncio.gather(lost, return_exceptions=True)
    assert rig.outcomes(ref) == [None]
    rig.worker = rig.new_worker()
    (early,) = await rig.handle(ref)
    assert early.settlement == "hold"  # the lease still holds
    rig.expire_leases()
    (late,) = await rig.handle(ref)
    assert late.settlement == "ack"
    assert rig.outcomes(ref) == ["in_doubt", "delivered"]
    assert (rig.row(ref)["status"], rig.row(ref)["in_doubt"]) == ("delivered", 1)
    assert [seen["duplicate"] for seen in await rig.received()] == [False, True]


async def test_a_crash_of_a_parking_destination_waits_for_a_person(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    rig.plan(on_doubt="Park")
    ref = await rig.add("e1")
    await rig.store.claim("loja", "principal", [ref], lease_s=30)
    rig.expire_leases()
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"
    assert (rig.row(ref)["status"], rig.row(ref)["reason"]) == ("dead", "in_doubt")
    assert await rig.requests() == []
    assert rig.outcomes(ref) == ["in_doubt"]


async def test_two_workers_with_the_same_message_send_it_once(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "latency", "delay_ms": 5_000, "times": 1})
    refs = [await rig.add(f"e{n}") for n in range(20)]
    other = rig.new_worker()
    first = asyncio.create_task(rig.handle(*refs))
    while rig.statuses(refs) != {"sending"}:
        await asyncio.sleep(0.02)
    rig.worker = other
    late = await rig.handle(*refs)
    await first
    assert {message.settlement for message in late} == {"hold"}
    assert len(await rig.received()) == 20


async def test_consent_is_judged_when_it_is_sent(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.plan(consent=ConsentPlan(default="Denied"))
    said_no, said_nothing, said_yes = [
        await rig.add(f"e{n}", consent=c) for n, c in enumerate((False, None, True))
    ]
    messages = await rig.handle(said_no, said_nothing, said_yes)
    assert {message.settlement for message in messages} == {"ack"}
    assert [seen["event"]["event_id"] for seen in await rig.received()] == ["e2"]
    for ref in (said_no, said_nothing):
        assert (rig.row(ref)["status"], rig.row(ref)["reason"]) == ("withheld", "no_consent")
        assert rig.outcomes(ref) == []
    assert rig.rows("select events from dispatch_requests") == [{"events": 1}]


async def test_what_a_funnel_learnt_to_withhold_leaves_without_it_and_with_the_destinations_options(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    waiting = await rig.add("e1")
    options = DataProcessing(options=("LDU",), country=1, state=1000)
    rig.plan(withheld=("event_source_url", "custom_data.*"), data_processing=options)
    await rig.handle(waiting)
    (seen,) = await rig.received()
    event = seen["event"]
    assert "event_source_url" not in event and event["action_source"] == "system_generated"
    assert event["custom_data"].keys() == {"value", "currency"}
    told = [event[f"data_processing_options{part}"] for part in ("", "_country", "_state")]
    assert told == [["LDU"], 1, 1000]


async def test_an_event_that_waited_too_long_dies_alone_and_unsent(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    old = await rig.add("old", event_time=int(time.time()) - 8 * 86_400)
    good = await rig.add("good")
    await rig.handle(old, good)
    assert (rig.row(old)["status"], rig.row(old)["reason"]) == ("dead", "too_old")
    assert rig.row(good)["status"] == "delivered"
    (lonely,) = await rig.handle(await rig.add("older", event_time=int(time.time()) - 9 * 86_400))
    assert lonely.settlement == "ack"
    assert len(rig.rows("select 1 from dispatch_requests")) == 1


async def test_rows_nobody_asked_for_in_a_week_are_given_up_by_the_sweep(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    forgotten, fresh = await rig.add("e1"), await rig.add("e2")
    rig.rows(
        "update capi_events set created_at = now() - interval '8 days' where id = %s", forgotten.id
    )
    await rig.worker.sweep()
    assert (rig.row(forgotten)["status"], rig.row(forgotten)["reason"]) == ("dead", "too_old")
    assert rig.row(fresh)["status"] == "pending"
    assert rig.rows("select event_row, reason from dead_letters") == [
        {"event_row": "ev_e1", "reason": "too_old"}
    ]


async def test_a_hanging_destination_does_not_delay_another(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "hang"})
    sick = await rig.add("sick")
    hanging = asyncio.create_task(rig.handle(sick))
    while rig.row(sick)["status"] != "sending":
        await asyncio.sleep(0.02)
    (message,) = await rig.handle(await rig.add("well", destination="outro"), destination="outro")
    assert message.settlement == "ack"
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_a_sick_destination_soon_holds_no_worker(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.wait_for_meta(0.8)
    rig.worker = rig.new_worker(Policy(threshold=3, base_s=300, cap_s=300))
    await rig.fault({"kind": "hang"})
    for n in range(3):
        await rig.handle(await rig.add(f"e{n}"))
    asked = len(await rig.requests())
    (message,) = await rig.handle(await rig.add("e9"))
    assert message.settlement == "hold"
    assert len(await rig.requests()) == asked


async def test_nothing_listening_is_no_doubt(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.graph._base_url = "http://127.0.0.1:9"
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    assert rig.outcomes(ref) == ["retry"]
    assert rig.row(ref)["in_doubt"] == 0


async def test_an_unusable_destination_keeps_its_messages(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    ref = await rig.add("e1")
    changes: tuple[dict[str, Any], ...] = (
        {"problem": "Secret meta-token is missing"},
        {"access_token": ""},
    )
    for change in changes:
        rig.plan(**change)
        (message,) = await rig.handle(ref)
        assert message.settlement == "hold"
    rig.plans.tenants = {}
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    assert rig.row(ref)["attempts"] == 0


async def test_what_a_suspended_tenant_has_waiting_waits(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.plan(suspended=True)
    ref = await rig.add("e1")
    (message,) = await rig.handle(ref)
    assert message.settlement == "hold"
    assert (rig.row(ref)["status"], rig.row(ref)["attempts"]) == ("pending", 0)
    assert await rig.requests() == []
    rig.plan()
    (message,) = await rig.handle(ref)
    assert message.settlement == "ack"


async def test_an_answer_to_an_older_token_says_nothing_of_the_new_one(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    await rig.fault(
        {"kind": "auth", "delay_ms": 0, "times": 1}, {"kind": "latency", "delay_ms": 10}
    )
    first, second = await rig.add("e1"), await rig.add("e2")
    asked = rig.graph.send

    async def and_the_plan_changes(destination: Any, events: Any) -> Any:
        answer = await asked(destination, events)
        rig.plan(access_token="EAAB-new")
        rig.graph.send = asked  # type: ignore[method-assign]
        await rig.handle(second)
        return answer

    rig.graph.send = and_the_plan_changes  # type: ignore[method-assign]
    await rig.handle(first)
    rig.make_due()
    (message,) = await rig.handle(first)
    assert message.settlement == "ack"


async def test_a_message_that_names_no_row_is_kept_as_a_dead_letter(
    dispatch_rig: DispatchRig,
) -> None:
    rig = dispatch_rig
    broken, newer = (
        FakeMessage(b'{"id": "x\x00"}', deliveries=3),
        FakeMessage(b'{"id": 1, "created_at": 1, "v": 2}'),
    )
    await rig.worker.handle(rig.lane(), [broken, newer])
    assert (broken.settlement, newer.settlement) == ("term", "nak")
    (letter,) = rig.rows("select * from dead_letters")
    assert (letter["stage"], letter["reason"], letter["attempts"]) == (
        "dispatch",
        "internal_error",
        3,
    )


async def test_test_events_and_version_are_the_destinations_own(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    rig.plan(test_event_code="TEST123", api_version="v25.0")
    await rig.handle(await rig.add("e1"))
    (seen,) = await rig.received()
    assert seen["test_event_code"] == "TEST123"
    assert [request["version"] for request in await rig.requests()] == ["v25.0"]


async def test_the_token_is_written_nowhere(dispatch_rig: DispatchRig) -> None:
    rig = dispatch_rig
    await rig.fault({"kind": "auth", "times": 1})
    await rig.handle(await rig.add("e1"))
    for table in ("capi_events", "dispatch_requests", "dispatch_attempts", "dead_letters"):
        assert TOKEN not in str(rig.rows(f"select * from {table}"))
