"""Figures of a tenant are those of its events.

Its funnels are those of its plan; new ones become manifests.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
import yaml

from sinal_api.app import Parts, build
from sinal_core.http.drain import Drain
from sinal_core.nats.depth import Depth
from sinal_core.plans.testing import StaticPlans
from sinal_crds.check import check
from sinal_crds.plan import DestinationPlan
from sinal_crds.tenant_status import ObservedDestination, ObservedIntegration, ObservedTenant
from sinal_hub.intake.events_from import NOBODY, tracking_event
from sinal_hub.intake.ports import Caller
from sinal_hub.intake.tracking_schema import Draft
from sinal_hub.meta.tokens import TokenState
from sinal_hub.model.events import Refused, Spooled, Tallies, UserData
from sinal_hub.model.sale import Client, Customer, Tracking
from sinal_hub.services import dependencies
from sinal_hub.services.manifest_sink import FolderSink
from sinal_hub.store.tenant_status import DestinationHealthStore, TenantStatusStore

from tests.support.fix_matching import AGENT, EMAIL
from tests.support.fix_operations import ADMIN_KEY, ApiRig

FBP = "fb.1.1700000000000.1098115397"


async def traffic(rig: ApiRig) -> None:
    """Two matched sales of three, one of them delivered after 4 s.

    A duplicate; two leads, one with the pixel's id.
    """
    room, loja = rig.room, rig.plans.snapshot.tenants["loja"]
    page = Caller(loja, loja.funnels[0], is_server=False)
    await room.deliver(room.visit(click_id="c1", fbp=FBP), room.visit(click_id="c2"))
    await room.deliver(
        room.sale(
            order="HP1",
            tracking=Tracking(click_id="c1"),
            client=Client(ip="177.10.20.30", user_agent=AGENT),
        ),
        room.sale(order="HP2", tracking=Tracking(click_id="c2")),
        room.sale(order="HP3", customer=Customer(em=["b" * 64], ph=["c" * 64])),
        room.sale(order="HP1"),
        room.visit("lead", event_id="pixel-1", user=UserData(em=[EMAIL])),
        tracking_event(
            Draft(user=UserData(em=[EMAIL])),
            kind="lead",
            caller=page,
            visitor=NOBODY,
            now_ms=room.ms(),
        ),
    )
    await rig.run(
        "update capi_events set status = 'delivered', settled_at = received_at + interval '4 "
        "seconds' "
        "where conversion_id = (select id from conversions where order_id = 'HP1')"
    )
    await rig.run(
        "update capi_events set status = 'dead', reason = 'rejected' "
        "where conversion_id = (select id from conversions where order_id = 'HP3')"
    )


async def test_the_summary_counts_what_happened(api_rig: ApiRig) -> None:
    await traffic(api_rig)
    api_rig.bus.waiting = [Depth("loja", "match", 3, 1), Depth("outra", "match", 99, 0)]
    answer = await api_rig.call("GET", "/api/v1/tenants/loja/summary")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["events"] == {"click": 2, "lead": 2, "sale": 4}
    assert found["outcomes"] == {"delivered": 1, "dead": 1, "withheld": 3, "in_flight": 3}
    assert found["reasons"] == {"dead": {"rejected": 1}, "withheld": {"duplicate": 1, "policy": 2}}
    assert found["decisions"] == {"match": 2, "unmatched": 1}
    assert found["match_rate"] == pytest.approx(2 / 3)
    assert found["latency_s"] == {"p50": 4.0, "p95": 4.0, "deliveries": 1}
    assert found["backlog"] == [
        {"consumer": "match", "role": "match", "pending": 3, "in_flight": 1}
    ]
    assert found["last_event_at"] is not None
    ledger = (await api_rig.call("GET", "/api/v1/ledger")).json()
    assert {name: ledger[name] for name in found["outcomes"]} == found["outcomes"]


async def test_the_summary_has_what_statuses_show(api_rig: ApiRig) -> None:
    page = "/api/v1/tenants/loja/summary"
    assert (await api_rig.call("GET", page)).json()["runtime"] is None, "nobody has looked yet"
    api_rig.bus.facts = ObservedTenant(
        destinations={
            "pixel": ObservedDestination(breaker="Open", trouble="token", code=190, dead_letters=2)
        },
        integrations={"hotmart": ObservedIntegration(last_delivery=1_764_014_400, rejects=3)},
    )
    found = (await api_rig.call("GET", page)).json()["runtime"]
    pixel = {
        "breaker": "Open",
        "trouble": "token",
        "code": 190,
        "last_success_at": None,
        "dead_letters": 2,
    }
    hotmart = {"last_delivery_at": "2025-11-24T20:00:00Z", "rejects": 3, "drift": 0}
    assert found["destinations"] == {"pixel": pixel | {"suspended": False}}
    assert found["integrations"] == {"hotmart": hotmart | {"suspended": False}}


async def test_signal_coverage_is_the_share_of_conversions(api_rig: ApiRig) -> None:
    await traffic(api_rig)
    found = (await api_rig.call("GET", "/api/v1/tenants/loja/signal-coverage")).json()
    assert found["all"]["conversions"] == 3
    signals = found["events"][0]["signals"]
    assert found["events"][0]["event_name"] == "Purchase"
    assert signals["em"] == 1.0
    assert signals["ph"] == signals["fbp"] == pytest.approx(1 / 3)
    assert signals["ip_and_user_agent"] >= 1 / 3
    empty = (await api_rig.call("GET", "/api/v1/tenants/outra/signal-coverage")).json()
    assert (empty["all"], empty["events"]) == (None, [])


async def test_pixel_pairing_is_the_share_with_the_browsers_id(api_rig: ApiRig) -> None:
    await traffic(api_rig)
    found = (await api_rig.call("GET", "/api/v1/tenants/loja/pixel-pairing")).json()
    assert found["share"] == 0.5
    assert found["kinds"] == [{"kind": "lead", "events": 2, "paired": 1, "share": 0.5}]


@pytest.mark.parametrize("page", ["summary", "signal-coverage", "pixel-pairing"])
async def test_another_tenants_figures_are_not_there(api_rig: ApiRig, page: str) -> None:
    key = await api_rig.key(tenant="outra", role="admin")
    assert (await api_rig.call("GET", f"/api/v1/tenants/loja/{page}", key=key)).status_code == 404
    assert (await api_rig.call("GET", f"/api/v1/tenants/nobody/{page}")).status_code == 404


async def test_who_has_a_page_already_is_told_so(api_rig: ApiRig) -> None:
    sale = api_rig.room.sale()
    await api_rig.room.deliver(sale)
    for path in (
        "events",
        f"events/{sale.id}",
        "ledger",
        "funnels",
        "keys",
        "dead-letters",
        "review",
    ):
        first = await api_rig.call("GET", f"/api/v1/{path}")
        etag = first.headers["etag"]
        again = await api_rig.call(
            "GET", f"/api/v1/{path}", headers={"If-None-Match": f'"other", {etag}'}
        )
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag), path
        promised = api_rig.app.openapi()["paths"][f"/api/v1/{path.replace(sale.id, '{event_id}')}"][
            "get"
        ]
        assert {"200", "304"} <= set(promised["responses"]), path
        assert "If-None-Match" in [one["name"] for one in promised["parameters"]], path
    await api_rig.run("update capi_events set status = 'delivered'")
    changed = await api_rig.call(
        "GET", f"/api/v1/events/{sale.id}", headers={"If-None-Match": etag}
    )
    assert changed.status_code == 200


async def test_funnels_are_shown_without_their_secrets(api_rig: ApiRig) -> None:
    answer = await api_rig.call("GET", "/api/v1/funnels")
    (funnel,) = answer.json()["funnels"]
    assert (funnel["tenant"], funnel["name"], funnel["public_key"]) == ("loja", "curso", "fk_1")
    assert funnel["integrations"] == ["hotmart-principal"]
    for secret in ("0" * 64, "1" * 64, "secret-token"):
        assert secret not in answer.text
    key = await api_rig.key(tenant="outra")
    assert (await api_rig.call("GET", "/api/v1/funnels", key=key)).json()["funnels"] == []


def with_sink(rig: ApiRig, folder: Path) -> ApiRig:
    """The same API with a folder for manifests."""
    rig.app = build(Parts(rig.database, rig.bus, rig.plans, rig.secret, sink=FolderSink(folder)))
    return rig


NEW = {
    "tenant": "loja",
    "name": "lancamento",
    "spec": {"landingHosts": ["a.example"], "destinationRefs": ["pixel"]},
}


async def test_a_new_funnel_becomes_a_manifest_that_the_check_takes(
    api_rig: ApiRig, tmp_path: Path
) -> None:
    rig = with_sink(api_rig, tmp_path / "made")
    for _ in range(2):
        answer = await rig.call("POST", "/api/v1/funnels", json=NEW)
        assert answer.status_code == 201, answer.text
    (file,) = (tmp_path / "made").iterdir()
    manifest = yaml.safe_load(file.read_text())
    assert manifest["spec"]["tenantRef"] == "loja"
    errors = [
        error
        for error in check([file]).errors
        if "no Tenant" not in str(error) and "no Dest" not in str(error)
    ]
    assert all("Ref" in error.field for error in errors), errors
    other = await rig.call(
        "POST", "/api/v1/funnels", json=NEW | {"spec": {"landingHosts": ["b.example"]}}
    )
    assert other.status_code == 409
    audit = await rig.rows("select target from audit_log where action = 'funnel.create'")
    assert audit == [{"target": "lancamento"}] * 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "Upper Case"}, "metadata.name"),
        ({"spec": {"destinationRefs": ["nowhere"]}}, "spec.destinationRefs[0]"),
        ({"spec": {"landingHosts": ["https://x.example"]}}, "spec.landingHosts[0]"),
        ({"spec": {"matching": {"matchThreshold": 7}}}, "spec.matching.matchThreshold"),
        ({"spec": {"colour": "red"}}, "spec.colour"),
        ({"spec": {"tenantRef": "outra"}}, "spec.tenantRef"),
        ({"spec": {"destinationRefs": 7}}, "spec.destinationRefs"),
    ],
)
async def test_a_wrong_funnel_is_refused_with_its_field(
    api_rig: ApiRig, tmp_path: Path, change: dict[str, object], field: str
) -> None:
    rig = with_sink(api_rig, tmp_path)
    answer = await rig.call("POST", "/api/v1/funnels", json=NEW | change)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]], answer.text
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_without_a_place_for_manifests_it_says_what_to_do(api_rig: ApiRig) -> None:
    answer = await api_rig.call("POST", "/api/v1/funnels", json=NEW)
    assert answer.status_code == 501 and "SINAL_MANIFEST_FOLDER" in answer.json()["detail"]
    there = await api_rig.call("POST", "/api/v1/funnels", json=NEW | {"name": "curso"})
    assert there.status_code == 409


async def test_a_folder_that_takes_no_file_is_said(api_rig: ApiRig, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    answer = await with_sink(api_rig, blocked / "folder").call("POST", "/api/v1/funnels", json=NEW)
    assert answer.status_code == 503 and "folder" in answer.json()["detail"]


class Meta:
    """Says of each destination's token what the test wants."""

    def __init__(self, state: TokenState | None) -> None:
        self.state = state

    async def check(self, destination: DestinationPlan) -> TokenState | None:
        return self.state


async def test_the_status_names_what_is_wrong_and_the_way_out(api_rig: ApiRig) -> None:
    async def away() -> bool:
        raise ConnectionError

    async def here() -> bool:
        return True

    refused = Meta(
        TokenState(valid=False, expires_at=None, problem="Meta says: expired (code 190)")
    )
    checks = {"nats": away, "postgres": here, "redis": away}
    api_rig.app = build(
        Parts(
            api_rig.database,
            api_rig.bus,
            api_rig.plans,
            api_rig.secret,
            checks=checks,
            tokens=refused,
        )
    )
    api_rig.bus.consumers = ["match"]
    ready, told = await dependencies.standing(checks, Drain())
    assert (ready, told) == (
        False,
        {"status": "not ready", "nats": False, "postgres": True, "redis": False},
    )
    found = (await api_rig.call("GET", "/api/v1/status?tenant=loja&tokens=true")).json()
    assert found["ok"] is False
    failed = {
        (one["area"], one["subject"]): one for one in found["findings"] if one["grade"] == "failed"
    }
    assert set(failed) == {("services", "nats"), ("tokens", "loja: pixel")}, (
        "lanes are not there without a broker"
    )
    assert all(one["advice"] for one in failed.values())
    api_rig.app = build(Parts(api_rig.database, api_rig.bus, api_rig.plans, api_rig.secret))
    found = (await api_rig.call("GET", "/api/v1/status?tenant=loja")).json()["findings"]
    (lanes,) = [one for one in found if one["area"] == "lanes"]
    assert lanes["grade"] == "failed" and "dispatch-pixel" in lanes["detail"]


async def test_a_database_that_is_away_casts_no_shadow(api_rig: ApiRig) -> None:
    async def away() -> bool:
        return False

    async def here() -> bool:
        return True

    checks = {"postgres": away, "migrations": away, "nats": here, "plans": here}
    api_rig.app = build(
        Parts(api_rig.database, api_rig.bus, api_rig.plans, api_rig.secret, checks=checks)
    )
    found = (await api_rig.call("GET", "/api/v1/status")).json()["findings"]
    assert [(one["area"], one["subject"]) for one in found if one["grade"] != "ok"] == [
        ("services", "postgres")
    ]


async def test_a_tenant_that_is_not_there_is_told_with_those_that_are(api_rig: ApiRig) -> None:
    found = (await api_rig.call("GET", "/api/v1/status?tenant=lojja")).json()["findings"]
    (plan,) = [one for one in found if one["area"] == "plans"]
    assert (plan["grade"], plan["advice"]) == (
        "failed",
        "did you mean loja? There are: loja, outra",
    )


async def test_a_secret_that_cannot_be_read_is_one_fault(api_rig: ApiRig) -> None:
    loja = api_rig.plans.snapshot.tenants["loja"]
    bare = msgspec.structs.replace(
        loja.destinations[0], access_token="", problem="Secret meta: it has no key tokn"
    )
    plans = StaticPlans(msgspec.structs.replace(loja, destinations=(bare,)))
    tokens = Meta(TokenState(valid=False, expires_at=None, problem="it has no access token"))
    api_rig.app = build(Parts(api_rig.database, api_rig.bus, plans, api_rig.secret, tokens=tokens))
    found = (await api_rig.call("GET", "/api/v1/status?tokens=true")).json()["findings"]
    (fault,) = [one for one in found if one["grade"] != "ok"]
    assert (fault["area"], fault["grade"], fault["detail"]) == (
        "plans",
        "failed",
        "Secret meta: it has no key tokn",
    )


async def test_a_missing_cache_keeps_nobody_out() -> None:
    async def away() -> bool:
        return False

    ready, told = await dependencies.standing({"redis": away}, Drain())
    assert (ready, told["redis"]) == (True, False)


async def test_a_tenants_key_sees_its_own_part_of_the_status(api_rig: ApiRig) -> None:
    key = await api_rig.key(tenant="outra", role="viewer")
    found = (await api_rig.call("GET", "/api/v1/status", key=key)).json()
    assert not [one for one in found["findings"] if "loja" in one["subject"]]
    assert (await api_rig.call("GET", "/api/v1/status?tenant=loja", key=key)).status_code == 404


async def test_the_status_judges_an_expiring_token(api_rig: ApiRig) -> None:
    soon = msgspec.convert(
        {"valid": True, "expires_at": "2020-01-01T00:00:00Z", "problem": None}, TokenState
    )
    api_rig.app = build(
        Parts(api_rig.database, api_rig.bus, api_rig.plans, api_rig.secret, tokens=Meta(soon))
    )
    found = (await api_rig.call("GET", "/api/v1/status?tenant=loja&tokens=true")).json()
    (token,) = [one for one in found["findings"] if one["area"] == "tokens"]
    assert (token["grade"], "2020-01-01" in token["detail"]) == ("warning", True)


async def test_the_status_tells_of_a_destination_that_takes_nothing(api_rig: ApiRig) -> None:
    """`sinal doctor` called all well while a breaker was open: Meta may call a token valid and
    refuse its events.
    """
    circuits = DestinationHealthStore(api_rig.database, worker="dispatch-1")
    await circuits.opened("loja", "pixel", reason="credential", wait_s=60)
    stranger = await api_rig.key(tenant="outra", role="viewer")
    figures = "0 wait, no success yet"
    broken = f"its breaker is open: credential; {figures}"
    assert (await told(api_rig))[0] == ("loja: pixel", "failed", broken)
    assert "loja" not in str(await told(api_rig, key=stranger))
    good = Meta(TokenState(valid=True, expires_at=None, problem=None))
    parts = Parts(api_rig.database, api_rig.bus, api_rig.plans, api_rig.secret, tokens=good)
    api_rig.app = build(parts)
    found = (await api_rig.call("GET", "/api/v1/status?tenant=loja&tokens=true")).json()
    assert not found["ok"] and not [one for one in found["findings"] if one["area"] == "tokens"], (
        "one fault"
    )
    (one,) = [one for one in found["findings"] if one["grade"] == "failed"]
    assert "Meta calls the token valid and refuses it for this pixel" in one["detail"]
    await circuits.closed("loja", "pixel")
    assert (await told(api_rig))[0] == ("loja: pixel", "ok", figures)


async def test_what_was_given_up_fails_while_it_grows_and_warns_while_it_lies_there(
    api_rig: ApiRig,
) -> None:
    await api_rig.run(
        "insert into dead_letters (tenant_id, stage, destination, reason) "
        "values ('loja', 'dispatch', 'pixel', 'rejected')"
    )
    (subject, grade, detail), *_ = await told(api_rig)
    assert (subject, grade) == ("loja: pixel", "failed") and detail.startswith(
        "1 given up within an hour"
    )
    await api_rig.run("update dead_letters set created_at = now() - interval '2 hours'")
    assert (await told(api_rig))[0] == (
        "loja: pixel",
        "warning",
        "0 wait, no success yet, 1 dead letters",
    )


async def test_what_waits_is_told_with_its_age_and_fails_when_nobody_works_on_it(
    api_rig: ApiRig,
) -> None:
    now = datetime.now(UTC)

    async def lanes() -> tuple[str, str]:
        found = (await api_rig.call("GET", "/api/v1/status?tenant=loja")).json()["findings"]
        (one,) = [one for one in found if one["area"] == "lanes"]
        return one["grade"], one["detail"]

    api_rig.bus.consumers = ["match", "dispatch-pixel"]
    api_rig.bus.waiting = [Depth("loja", "match", 5, 2, now - timedelta(minutes=3))]
    assert await lanes() == ("ok", "2 lanes, 7 wait to be matched, the oldest for 3 min")
    api_rig.bus.waiting = [Depth("loja", "match", 5, 2, now - timedelta(minutes=30))]
    assert (await lanes())[0] == "failed"
    api_rig.bus.waiting = [Depth("loja", "dispatch-pixel", 4, 0, now - timedelta(minutes=30))]
    assert (await told(api_rig))[0][1:] == (
        "failed",
        "nothing was sent for 15 minutes, though events wait; 4 wait, the oldest for 30 min, no "
        "success yet",
    )


async def test_refusals_in_a_row_fail_and_single_ones_warn(api_rig: ApiRig) -> None:
    at = int(datetime.now(UTC).timestamp())
    one = Refused(
        tenant="loja", integration="hotmart", gateway="hotmart", reason="proof_missing", missing="x-hotmart-hottok",
        network="", worker="w", deliveries=2, first_at=at - 9, last_at=at, hour=at // 3600 * 3600,
    )  # fmt: skip
    spool = Spooled(worker="w", records=3, bytes=900, oldest_at=at - 5)
    store = TenantStatusStore(api_rig.database)

    async def doors() -> list[tuple[str, str, str]]:
        found = (await api_rig.call("GET", "/api/v1/status")).json()["findings"]
        return [
            (one["area"], one["grade"], one["detail"].partition(",")[0])
            for one in found
            if one["area"] in ("refusals", "spool")
        ]

    assert await doors() == []
    await store.note(Tallies(tallies=[], refused=[one], spool=spool))
    assert await doors() == [
        ("refusals", "warning", "2 refused"),
        ("spool", "warning", "3 events wait on the disk of 1 processes"),
    ]
    await store.note(Tallies(tallies=[], refused=[msgspec.structs.replace(one, deliveries=3)]))
    assert ("refusals", "failed", "3 refused") in await doors()
    await api_rig.run(
        "insert into sightings values ('loja', 'curso', 'hotmart', now() + interval '1 minute')"
    )
    assert ("refusals", "warning", "3 refused") in await doors()


async def test_a_login_that_may_not_see_breakers_is_said(api_rig: ApiRig) -> None:
    async with api_rig.database.autocommit() as connection:
        await connection.execute("alter table circuits rename to hidden")
    ((subject, grade, detail),) = await told(api_rig)
    assert (subject, grade) == ("breakers", "warning") and "may not read" in detail


async def told(api_rig: ApiRig, *, key: str = ADMIN_KEY) -> list[tuple[str, str, str]]:
    """What the status says of destinations."""
    found = (await api_rig.call("GET", "/api/v1/status", key=key)).json()["findings"]
    return [
        (one["subject"], one["grade"], one["detail"])
        for one in found
        if one["area"] == "destinations"
    ]
