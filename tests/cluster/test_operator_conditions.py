"""Every trouble has a condition that says what is wrong and what to do, and goes away with its
cause.
"""

from __future__ import annotations

import time

import nats

from tests.cluster.support import shop
from tests.cluster.support.kubectl import Kubectl
from tests.cluster.support.operator import OperatorProcess
from tests.cluster.support.waiting import until
from tests.support.nats_process import NatsProcess


def becomes(
    kubectl: Kubectl, kind: str, name: str, state: str, reason: str, *, timeout_s: float = 120.0
) -> str:
    """Wait until Ready is so; the condition's message."""

    def so() -> str:
        found = kubectl.condition(kind, name)
        as_wanted = (found.get("status"), found.get("reason")) == (state, reason)
        assert (
            not as_wanted
            or found["observedGeneration"] == kubectl.get(kind, name)["metadata"]["generation"]
        )
        return str(found["message"]) if as_wanted else ""

    try:
        return until(so, timeout_s=timeout_s)
    except TimeoutError as error:
        raise TimeoutError(f"{kind}/{name} is {kubectl.condition(kind, name)}") from error


def reasons(kubectl: Kubectl, kind: str, name: str) -> list[str]:
    """Reasons of the events on an object, in any order."""
    events = kubectl.list("events")
    about = [
        e
        for e in events
        if (e["involvedObject"]["kind"].lower(), e["involvedObject"]["name"]) == (kind, name)
    ]
    return sorted(event["reason"] for event in about)


def test_ready_is_unknown_while_no_operator_looks(kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    for kind, name in (
        ("tenant", "loja"),
        ("destination", "pixel"),
        ("funnel", "curso"),
        ("gwi", "vendas"),
    ):
        assert kubectl.condition(kind, name)["status"] == "Unknown"


def test_a_funnel_without_its_tenant(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.secret(), shop.funnel(), shop.destination())
    message = becomes(kubectl, "funnel", "curso", "False", "TenantNotFound")
    assert (
        "Tenant loja does not exist in this namespace; create it, or correct the reference"
        in message
    )
    kubectl.apply(shop.tenant())
    becomes(kubectl, "funnel", "curso", "True", "Ready")
    assert reasons(kubectl, "funnel", "curso") == ["Ready", "TenantNotFound"]


def test_one_apply_in_any_order_tells_of_no_trouble(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    parts = shop.shop()
    kubectl.apply({**parts, "items": list(reversed(parts["items"]))})
    for kind in ("tenants", "destinations", "funnels", "gatewayintegrations"):
        kubectl.wait(kind)
    assert {event["type"] for event in kubectl.list("events")} == {"Normal"}


def test_a_destination_without_its_secret(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.tenant(), shop.destination())
    becomes(kubectl, "destination", "pixel", "False", "SecretNotFound")
    assert kubectl.condition("destination", "pixel", "CredentialsValid")["status"] == "False"
    kubectl.apply(shop.secret("keys", other=b"x"))
    assert "no value for accessToken" in becomes(
        kubectl, "destination", "pixel", "False", "SecretKeyMissing"
    )
    kubectl.apply(shop.secret("keys", accessToken=b"\xff\xfe"))
    assert "data.accessToken is not UTF-8 text" in becomes(
        kubectl, "destination", "pixel", "False", "SecretMalformed"
    )
    kubectl.apply(shop.secret("keys", accessToken=b"token"))
    becomes(kubectl, "destination", "pixel", "True", "Ready")
    assert kubectl.condition("destination", "pixel", "CredentialsValid")["status"] == "True"
    kubectl.do("delete", "secret", "keys")
    becomes(kubectl, "destination", "pixel", "False", "SecretNotFound")


async def test_who_works_keeps_slug_and_host_from_one_of_the_same_second(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    """Creation times are whole seconds, and the others come first by name.

    An older one may ask for a host later.
    """
    host = {"hosts": ["track.shop.example"]}
    kubectl.apply(shop.tenant("elder"), shop.tenant("works", slug="shop", ingest=host))
    becomes(kubectl, "tenant", "works", "True", "Ready")
    kubectl.apply(shop.tenant("again", slug="shop"), shop.tenant("elder", ingest=host))
    message = becomes(kubectl, "tenant", "again", "False", "SlugTaken")
    assert f"slug shop is taken by Tenant {kubectl.namespace}/works" in message
    assert kubectl.condition("tenant", "again", "Provisioned")["status"] == "False"
    becomes(kubectl, "tenant", "elder", "False", "HostTaken")
    assert kubectl.condition("tenant", "elder", "Provisioned")["status"] == "True"
    await running.stop()
    running.start()
    running.wait_ready()
    kubectl.apply(shop.tenant("late", slug="shop"))
    becomes(kubectl, "tenant", "late", "False", "SlugTaken")
    becomes(kubectl, "tenant", "works", "True", "Ready")
    kubectl.do("delete", "tenant", "works", "--timeout=120s")
    becomes(kubectl, "tenant", "elder", "True", "Ready")


async def test_a_stream_of_somebody_else_is_left_alone(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    client = await nats.connect(nats_server.url, connect_timeout=60)
    await client.jetstream().add_stream(name="T-loja", subjects=["somebody.else"])
    kubectl.apply(shop.shop())
    message = becomes(kubectl, "tenant", "loja", "False", "StreamForeign")
    assert "stream T-loja has no owner in its metadata" in message
    becomes(kubectl, "funnel", "curso", "False", "TenantNotReady")
    await client.jetstream().delete_stream("T-loja")
    becomes(kubectl, "tenant", "loja", "True", "Ready")
    becomes(kubectl, "funnel", "curso", "True", "Ready")
    await client.close()


def test_nats_away_for_long_is_said_and_over_when_it_is_back(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    becomes(kubectl, "tenant", "loja", "True", "Ready")
    nats_server.stop()
    kubectl.apply(shop.funnel("new"))
    assert "NATS is away" in becomes(
        kubectl, "tenant", "loja", "False", "BrokerUnavailable", timeout_s=120
    )
    assert kubectl.condition("tenant", "loja", "Provisioned")["status"] == "Unknown"
    assert kubectl.condition("funnel", "new")["status"] == "Unknown"
    assert kubectl.condition("funnel", "curso")["status"] == "True", (
        "its part of the plan is as it was"
    )
    nats_server.start()
    becomes(kubectl, "tenant", "loja", "True", "Ready")
    becomes(kubectl, "funnel", "new", "True", "Ready")


def test_a_short_absence_of_nats_is_no_news(
    nats_server: NatsProcess, running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.shop())
    kubectl.wait("tenant", "loja")
    before = kubectl.condition("tenant", "loja")
    nats_server.restart()
    time.sleep(4)
    assert kubectl.condition("tenant", "loja") == before


def test_a_suspended_tenant_is_ready_and_says_so(
    running: OperatorProcess, kubectl: Kubectl
) -> None:
    kubectl.apply(shop.tenant(suspended=True))
    becomes(kubectl, "tenant", "loja", "True", "Suspended")


def test_a_paused_tenant_is_left_as_it_is(running: OperatorProcess, kubectl: Kubectl) -> None:
    kubectl.apply(shop.shop())
    becomes(kubectl, "tenant", "loja", "True", "Ready")
    plan = kubectl.get("tenant", "loja")["status"]["planHash"]
    kubectl.do("annotate", "tenant", "loja", "sinal.dev/paused=true")
    kubectl.wait("tenant", "loja", condition="Paused")
    kubectl.apply(shop.tenant(annotations={"sinal.dev/paused": "true"}, country="PT"))
    time.sleep(3)
    status = kubectl.get("tenant", "loja")["status"]
    assert (status["planHash"], status["observedGeneration"]) == (plan, 1)
    kubectl.do("annotate", "tenant", "loja", "sinal.dev/paused-")
    until(lambda: kubectl.get("tenant", "loja")["status"]["planHash"] != plan)
    becomes(kubectl, "tenant", "loja", "True", "Ready")
    assert kubectl.condition("tenant", "loja", "Paused") == {}
