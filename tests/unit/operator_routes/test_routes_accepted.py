"""The condition RoutesAccepted, and what it means for Ready."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from sinal_operator.cluster.conditions import ROUTES, ConditionVerdict
from sinal_operator.cluster.resources import INGRESSES
from sinal_operator.cluster.routes import desired, findings
from sinal_operator.cluster.routes.findings import RouteFinding
from sinal_operator.cluster.routes.observed import ObservedRoutes, see
from sinal_operator.cluster.routes.options import GatewayRef
from sinal_operator.cluster.status import StatusInputs, judge, patch

from tests.unit.operator_routes.plans import options, plan
from tests.unit.test_operator_statuses import TENANT, mirror_of, world

GATEWAY = GatewayRef("infra", "public")
FINE = RouteFinding("True", findings.MADE, "fine")
PARENT = {
    "group": "gateway.networking.k8s.io",
    "kind": "Gateway",
    "namespace": "infra",
    "name": "public",
}


def route(*parents: dict[str, Any], generation: int = 2) -> ObservedRoutes:
    """An HTTPRoute of ours with what Gateways say of it."""
    (wanted,) = desired.routes(plan(), options("gateway"))
    metadata = {
        **wanted.body["metadata"],
        "uid": "u",
        "resourceVersion": "1",
        "generation": generation,
    }
    return see(
        wanted.resource,
        {**wanted.body, "metadata": metadata, "status": {"parents": parents}},
        namespace="sinal",
    )


def says(
    accepted: str = "True", resolved: str = "True", *, generation: int = 2, **parent: Any
) -> dict[str, Any]:
    """What a Gateway's controller writes."""
    conditions = [
        {
            "type": type,
            "status": status,
            "reason": "Because",
            "message": "of it",
            "observedGeneration": generation,
        }
        for type, status in (("Accepted", accepted), ("ResolvedRefs", resolved))
    ]
    return {
        "parentRef": {**PARENT, **parent},
        "controllerName": "example/gateway",
        "conditions": conditions,
    }


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (route(says()), ("True", findings.ACCEPTED)),
        (route(), ("Unknown", findings.PENDING)),
        (route(says(generation=1)), ("Unknown", findings.PENDING)),
        (route(says(name="other")), ("Unknown", findings.PENDING)),
        (route(says(sectionName="https")), ("Unknown", findings.PENDING)),
        (
            route({"parentRef": PARENT, "controllerName": "example/gateway"}),
            ("Unknown", findings.PENDING),
        ),
        (route(says("False")), ("False", findings.GATEWAY_REFUSED)),
        (route(says(resolved="False")), ("False", findings.GATEWAY_REFUSED)),
        (route(says(name="other", accepted="False"), says()), ("True", findings.ACCEPTED)),
    ],
)
def test_what_a_gateway_says_counts_for_the_route_as_it_stands(
    found: ObservedRoutes, expected: tuple[str, str]
) -> None:
    finding = findings.of_gateway(found, GATEWAY)
    assert (finding.state, finding.reason) == expected


def test_a_refusal_is_told_in_the_gateways_words() -> None:
    message = findings.of_gateway(route(says(resolved="False")), GATEWAY).message
    assert message == "Gateway infra/public refuses HTTPRoute sinal/sinal-t-loja: Because: of it"


def test_the_worst_is_told_with_all_that_is_as_bad() -> None:
    bad = [
        RouteFinding("False", "HostTaken", "a"),
        RouteFinding("False", "HostClaimed", "b"),
        RouteFinding("False", "HostTaken", "a"),
    ]
    found = findings.verdict(
        [RouteFinding("Unknown", "RoutesPending", "wait"), *bad], when_fine=FINE
    )
    assert found == ConditionVerdict(ROUTES, "False", "HostTaken", "a; b")
    assert findings.verdict([], when_fine=FINE).state == "True"


def test_a_message_names_some_places_and_counts_the_others() -> None:
    found = findings.all_fine([f"h{n}.example" for n in range(9)], INGRESSES, "sinal", None)
    assert found.message.endswith("h4.example and 4 more")


def judged(
    routes: ConditionVerdict | None, *, was_ready: str = "Unknown"
) -> dict[str, ConditionVerdict]:
    """Verdicts on a tenant that is well but for its routes."""
    mirror = mirror_of()
    seen = mirror.get(TENANT)
    assert seen is not None
    seen = dataclasses.replace(
        seen, status={"conditions": [{"type": "Ready", "status": was_ready}]}
    )
    there: StatusInputs = dataclasses.replace(
        world(mirror), routes={TENANT: routes} if routes is not None else {}
    )
    judgement = judge(seen, there)
    assert judgement is not None
    return {verdict.type: verdict for verdict in judgement.verdicts}


def test_without_routes_nothing_is_said_of_them() -> None:
    assert ROUTES not in judged(None)


def test_a_tenant_whose_routes_are_refused_is_not_ready() -> None:
    found = judged(ConditionVerdict(ROUTES, "False", "HostClaimed", "somebody has it"))
    assert (found["Ready"].state, found["Ready"].reason) == ("False", "HostClaimed")
    assert found["Provisioned"].state == "True"


def test_a_contested_host_is_told_but_works() -> None:
    found = judged(
        ConditionVerdict(ROUTES, "False", findings.HOST_CONTESTED, "somebody came later")
    )
    assert (found["Ready"].state, found[ROUTES].state) == ("True", "False")


@pytest.mark.parametrize(
    ("was_ready", "ready"), [("Unknown", "Unknown"), ("False", "Unknown"), ("True", "True")]
)
def test_a_new_tenant_waits_for_its_gateway_and_a_ready_one_stays_ready(
    was_ready: str, ready: str
) -> None:
    pending = ConditionVerdict(ROUTES, "Unknown", findings.PENDING, "wait")
    assert judged(pending, was_ready=was_ready)["Ready"].state == ready


def test_the_condition_goes_when_routes_are_switched_off() -> None:
    mirror = mirror_of()
    seen = mirror.get(TENANT)
    assert seen is not None
    made = dataclasses.replace(
        world(mirror), routes={TENANT: ConditionVerdict(ROUTES, "True", findings.MADE, "")}
    )
    now = datetime(2026, 11, 24, tzinfo=UTC)
    judgement = judge(seen, made)
    assert judgement is not None
    seen = dataclasses.replace(seen, status=patch(seen, judgement, now=now))
    assert ROUTES in {condition["type"] for condition in seen.status["conditions"]}
    judgement = judge(seen, world(mirror))
    assert judgement is not None
    assert ROUTES not in {
        condition["type"] for condition in patch(seen, judgement, now=now)["conditions"]
    }
