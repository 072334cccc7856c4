"""What statuses say of running tenants, by what the runtime tells; and that it is said once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.models.destination import DestinationStatus
from sinal_crds.models.funnel import FunnelStatus
from sinal_crds.models.integration import IntegrationStatus
from sinal_crds.models.manifest import Status
from sinal_crds.models.tenant import TenantStatus
from sinal_crds.plan import DestinationPlan, TenantPlan
from sinal_crds.secrets import Secrets
from sinal_crds.tenant_status import (
    PULSE_KEY,
    SILENT_S,
    ObservedDestination,
    ObservedFunnel,
    ObservedIntegration,
    ObservedTenant,
    Pulse,
    Trouble,
    encode,
)
from sinal_operator.cluster import tenant_status
from sinal_operator.cluster.conditions import (
    DELIVERING,
    READY,
    RECEIVING,
    ConditionVerdict,
    find,
    merged,
)
from sinal_operator.cluster.event_recorder import turns
from sinal_operator.cluster.status import judge, patch
from sinal_operator.cluster.status_feed import StatusFeed
from sinal_operator.cluster.status_throttle import StatusThrottle
from sinal_operator.cluster.tenant_status import Told

from tests.unit.test_operator_statuses import SHOP, judged, mirror_of, said, seen_in, world

AT = 1_764_014_400
SHOWN = "2025-11-24T20:00:00Z"
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def tenant_facts(**pixel: Any) -> ObservedTenant:
    return ObservedTenant(
        backlog=7,
        events_24h=40,
        match_percent=66.7,
        last_event=AT,
        destinations={
            "pixel": ObservedDestination(backlog=5, dead_letters=2, **{"last_success": AT, **pixel})
        },
        funnels={"curso": ObservedFunnel(events_24h=40, match_percent=66.7, last_event=AT)},
        integrations={"vendas": ObservedIntegration(last_delivery=AT, rejects=3, drift=1)},
    )


def told(found: ObservedTenant | None = None, *, fresh: bool = True, **pixel: Any) -> Told:
    return Told({"loja": found or tenant_facts(**pixel)}, fresh)


def delivering(**pixel: Any) -> tuple[str, str]:
    mirror = mirror_of()
    return said(judged("Destination", mirror, world(mirror, told=told(**pixel))))[DELIVERING]


def test_every_object_shows_its_own_figures() -> None:
    mirror = mirror_of()
    found = world(mirror, told=told())
    fields = {
        kind: judged(kind, mirror, found).fields for kind in ("Tenant", "Destination", "Funnel")
    }
    assert (
        fields["Tenant"].items()
        >= {
            "backlog": 7,
            "events24h": 40,
            "matchPercent": 66.7,
            "lastEvent": SHOWN,
            "stream": "T-loja",
        }.items()
    )
    assert (
        fields["Destination"].items()
        >= {
            "backlog": 5,
            "breaker": "Closed",
            "lastSuccess": SHOWN,
            "deadLetters": 2,
            "consumer": "dispatch-pixel",
        }.items()
    )
    assert (
        fields["Funnel"].items()
        >= {"events24h": 40, "matchPercent": 66.7, "lastEvent": SHOWN}.items()
    )
    integration = judged("GatewayIntegration", mirror, found).fields
    assert integration.items() >= {"lastDelivery": SHOWN, "rejects": 3, "drift": 1}.items()


def test_every_field_is_one_of_the_definitions() -> None:
    mirror = mirror_of()
    models: dict[str, type[Status]] = {
        "Tenant": TenantStatus,
        "Destination": DestinationStatus,
        "Funnel": FunnelStatus,
        "GatewayIntegration": IntegrationStatus,
    }
    for kind, model in models.items():
        known = {field.alias or name for name, field in model.model_fields.items()}
        assert judged(kind, mirror, world(mirror, told=told())).fields.keys() <= known


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [
        ({}, ("True", "Delivering")),
        ({"last_success": None}, ("Unknown", "NoEventsYet")),
        ({"trouble": "token", "code": 190}, ("False", "TokenInvalid")),
        ({"trouble": "permission", "code": 200}, ("False", "PermissionMissing")),
        ({"trouble": "setup", "code": 100}, ("False", "PixelRefused")),
        ({"trouble": "service", "breaker": "Open"}, ("False", "BreakerOpen")),
        ({"trouble": "service", "breaker": "HalfOpen"}, ("False", "BreakerOpen")),
        ({"trouble": "throttled", "code": 4}, ("False", "Throttled")),
        ({"trouble": "rejected"}, ("False", "EventsRejected")),
        ({"trouble": "stalled"}, ("False", "Stalled")),
    ],
)
def test_delivering_says_why_not(pixel: dict[str, Any], expected: tuple[str, str]) -> None:
    assert delivering(**pixel) == expected


def test_every_trouble_has_words() -> None:
    for trouble in get_args(Trouble):
        assert delivering(trouble=trouble)[0] == "False"


def test_a_token_that_meta_refuses_is_no_valid_credential_and_the_way_out_is_said() -> None:
    mirror = mirror_of()
    found = judged(
        "Destination", mirror, world(mirror, told=told(trouble="token", code=190, subcode=460))
    )
    assert said(found)["CredentialsValid"] == said(found)[DELIVERING] == ("False", "TokenInvalid")
    assert said(found)[READY] == ("True", "Ready")
    message = next(verdict.message for verdict in found.verdicts if verdict.type == DELIVERING)
    assert "code 190, subcode 460" in message and "Secret" in message


def test_a_missing_secret_is_told_as_what_it_is() -> None:
    mirror = mirror_of()
    lost = Secrets({("default", "keys"): {"hottok": "h"}})
    found = said(
        judged(
            "Destination", mirror, world(mirror, secrets=lost, told=told(trouble="token", code=190))
        )
    )
    assert found["CredentialsValid"] == ("False", "SecretKeyMissing")
    assert found[DELIVERING] == ("False", "CredentialsMissing")


def test_the_tenant_says_which_destinations_fail() -> None:
    mirror = mirror_of()
    found = judged("Tenant", mirror, world(mirror, told=told(trouble="token", code=190)))
    assert said(found)[DELIVERING] == ("False", "DestinationsFailing")
    assert any("pixel (TokenInvalid)" in verdict.message for verdict in found.verdicts)
    assert said(judged("Tenant", mirror, world(mirror, told=told())))[DELIVERING] == (
        "True",
        "Delivering",
    )


def test_a_tenant_that_falls_silent_is_told() -> None:
    mirror = mirror_of()

    def receiving(found: ObservedTenant) -> tuple[str, str]:
        return said(judged("Tenant", mirror, world(mirror, told=told(found))))[RECEIVING]

    assert receiving(tenant_facts()) == ("True", "EventsArrive")
    assert receiving(msgspec.structs.replace(tenant_facts(), silent=True)) == ("False", "Silent")
    assert receiving(ObservedTenant()) == ("Unknown", "NoEventsYet")


def test_a_suspended_tenant_is_no_failure() -> None:
    mirror = mirror_of({**SHOP[0], "spec": {"suspended": True}}, *SHOP[1:])
    found = said(judged("Tenant", mirror, world(mirror, told=told())))
    assert (found[DELIVERING], found[RECEIVING]) == (
        ("Unknown", "Suspended"),
        ("Unknown", "Suspended"),
    )


def test_what_is_suspended_of_a_tenant_is_ready_and_says_so() -> None:
    objects = [
        one | {"spec": one["spec"] | {"suspended": True}} if one["kind"] != "Tenant" else one
        for one in SHOP
    ]
    mirror = mirror_of(*objects)
    for kind in ("Destination", "Funnel", "GatewayIntegration"):
        assert said(judged(kind, mirror, world(mirror, told=told())))["Ready"] == (
            "True",
            "Suspended",
        ), kind
    pixel = said(judged("Destination", mirror, world(mirror, told=told())))
    assert pixel[DELIVERING] == ("Unknown", "Suspended")
    whole = said(judged("Tenant", mirror, world(mirror, told=told())))
    assert (whole["Ready"], whole[RECEIVING]) == (("True", "Ready"), ("Unknown", "Suspended"))


def test_a_runtime_that_is_silent_takes_its_figures_with_it_but_not_its_times() -> None:
    mirror = mirror_of()
    before = judged("Tenant", mirror, world(mirror, told=told()))
    seen = seen_in(mirror, "Tenant")
    shown = replace(seen, status=patch(seen, before, now=NOW))
    stale = judge(shown, world(mirror, told=told(fresh=False)))
    assert stale is not None
    change = patch(shown, stale, now=NOW)
    assert {
        name: change[name] for name in ("backlog", "events24h", "matchPercent")
    } == dict.fromkeys(("backlog", "events24h", "matchPercent"))
    assert "lastEvent" not in change
    assert said(stale)[DELIVERING] == ("Unknown", "RuntimeSilent")


def test_an_operator_that_has_heard_nothing_yet_leaves_what_was_said() -> None:
    mirror = mirror_of()
    for seen in tuple(mirror):
        before = judge(seen, world(mirror, told=told(trouble="token", code=190)))
        assert before is not None
        shown = replace(seen, status=patch(seen, before, now=NOW))
        unheard = judge(shown, world(mirror, told=None))
        assert unheard is not None
        conditions: list[dict[str, Any]] = shown.status["conditions"]
        after: list[dict[str, Any]] = patch(shown, unheard, now=NOW).get("conditions") or conditions
        kept = [find(after, type) for type in (DELIVERING, RECEIVING)]
        assert kept == [find(conditions, type) for type in (DELIVERING, RECEIVING)]
        assert [one["type"] for one in after] == [one["type"] for one in conditions], (
            "a needless write"
        )


def test_a_tenant_without_a_plan_shows_no_figures_of_another() -> None:
    assert tenant_status.said("Tenant", "loja", None, told()).fields == {
        "backlog": None,
        "events24h": None,
        "matchPercent": None,
        "lastEvent": None,
    }


pixels = st.builds(
    ObservedDestination,
    backlog=st.integers(0, 10),
    breaker=st.sampled_from(["Closed", "HalfOpen", "Open"]),
    trouble=st.sampled_from([None, *get_args(Trouble)]),
    code=st.sampled_from([None, 190]),
    last_success=st.sampled_from([None, AT]),
)
tellings = st.builds(
    lambda pixel, events, fresh: Told(
        {"loja": ObservedTenant(events_24h=events, destinations={"pixel": pixel})}, fresh=fresh
    ),
    pixels,
    st.integers(0, 5),
    st.booleans(),
)


@given(tellings, tellings)
def test_whatever_is_told_is_written_once(first: Told, then: Told) -> None:
    mirror = mirror_of()
    for seen in tuple(mirror):
        status: dict[str, Any] = {}
        for one in (first, then, then):
            shown = replace(seen, status=status)
            judgement = judge(shown, world(mirror, told=one))
            assert judgement is not None
            change = patch(shown, judgement, now=NOW)
            status = {
                name: value for name, value in {**status, **change}.items() if value is not None
            }
        assert change == {}, "the same was told twice"


@given(pixels)
def test_messages_hold_no_figure_that_moves(pixel: ObservedDestination) -> None:
    plan = TenantPlan(
        slug="loja",
        namespace="n",
        name="loja",
        uid="u",
        destinations=(DestinationPlan(name="pixel", pixel_id="12345678", access_token="t"),),
    )

    def verdicts(found: ObservedDestination) -> tuple[ConditionVerdict, ...]:
        return tenant_status.said(
            "Destination", "pixel", plan, told(ObservedTenant(destinations={"pixel": found}))
        ).verdicts

    moved = msgspec.structs.replace(pixel, backlog=999, dead_letters=999)
    assert verdicts(moved) == verdicts(pixel)


def conditions(state: Any, reason: str, type: str = DELIVERING) -> list[dict[str, Any]]:
    return merged([], (ConditionVerdict(type, state, reason, "so"),), generation=1, now=NOW)


def test_events_tell_of_a_delivery_that_fails_and_works_again_and_of_nothing_else() -> None:
    good, bad = conditions("True", "Delivering"), conditions("False", "TokenInvalid")
    assert turns(good, bad) == [("Warning", "TokenInvalid", "so")]
    assert turns(bad, good) == [("Normal", "Delivering", "so")]
    assert turns([], good) == turns(conditions("Unknown", "RuntimeSilent"), good) == []
    assert turns(good, conditions("Unknown", "RuntimeSilent")) == []
    assert turns(good, conditions("False", "DestinationsFailing")) == [], "the destination says it"
    assert turns(good, conditions("False", "CredentialsMissing")) == [], "Ready says it"


class Clock:
    now = float(AT)

    def __call__(self) -> float:
        return self.now


def board() -> tuple[StatusFeed, Clock]:
    clock = Clock()
    return StatusFeed(lambda: None, StatusThrottle(0.0), clock=clock), clock


def entries(**found: ObservedTenant) -> dict[str, bytes]:
    return {slug: encode(one) for slug, one in found.items()} | {PULSE_KEY: encode(Pulse(at=AT))}


def heard(found: StatusFeed) -> Told:
    assert found.told is not None
    return found.told


def test_a_board_that_was_never_read_tells_nothing() -> None:
    assert board()[0].told is None


def test_the_same_content_is_no_news() -> None:
    found, _ = board()
    assert found.read(entries(loja=tenant_facts()))
    assert not found.read(entries(loja=tenant_facts()))
    assert found.read(entries(loja=ObservedTenant()))


def test_a_bucket_that_was_lost_takes_nothing_away_until_the_runtime_fills_it() -> None:
    found, _ = board()
    found.read(entries(loja=tenant_facts()))
    found.release()
    assert not found.read({})
    assert not found.read({"other": encode(ObservedTenant())}), "half of it is there"
    found.release()
    assert set(heard(found).facts) == {"loja"}
    found.read(entries(other=ObservedTenant()))
    found.release()
    assert set(heard(found).facts) == {"other"}


def test_an_entry_that_is_not_understood_leaves_what_was_known() -> None:
    found, _ = board()
    found.read(entries(loja=tenant_facts()))
    found.read(entries() | {"loja": b'{"v":2}', "new": b"?"})
    found.release()
    assert set(heard(found).facts) == {"loja"}


def test_facts_are_out_of_date_without_a_pulse() -> None:
    found, clock = board()
    news: list[bool] = []
    found.read(entries(loja=tenant_facts()))
    for later in (0, SILENT_S - 1, SILENT_S + 1, SILENT_S + 2):
        clock.now = AT + later
        found._age(lambda: news.append(heard(found).fresh))
    assert news == [True, False]
