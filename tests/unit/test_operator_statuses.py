"""What a status says of an object, for everything that the operator may have found.

And that it says it once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import ObjectKey
from sinal_crds.references import ReferenceProblem
from sinal_crds.secrets import Secrets
from sinal_operator.cluster.object_cache import ObjectCache, Seen
from sinal_operator.cluster.status import Judgement, StatusInputs, judge, patch
from sinal_operator.provision import TenantReport

KEYRING = Keyring.generate()
SECRETS = Secrets({("default", "keys"): {"accessToken": "t", "hottok": "h"}})
TENANT: ObjectKey = ("Tenant", "default", "loja")


def thing(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    frame = {"namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1", "generation": 3}
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **frame, **metadata},
        "spec": spec,
    }


META = {"pixelId": "12345678", "accessTokenSecretRef": {"name": "keys"}}
SALES = {"gateway": "hotmart", "credentialsSecretRef": {"name": "keys"}}
SHOP = (
    thing("Tenant", "loja", {}),
    thing("Destination", "pixel", {"tenantRef": "loja", "meta": META}),
    thing("Funnel", "curso", {"tenantRef": "loja", "destinationRefs": ["pixel"]}),
    thing("GatewayIntegration", "vendas", {"tenantRef": "loja", "funnelRef": "curso", **SALES}),
)
REPORT = TenantReport(
    slug="loja",
    result="unchanged",
    stream="T-loja",
    consumers=("match", "dispatch-pixel"),
    plan_hash="abc",
)


def mirror_of(*objects: dict[str, Any]) -> ObjectCache:
    object_cache = ObjectCache()
    for body in objects or SHOP:
        object_cache.put(body)
    return object_cache


def world(
    object_cache: ObjectCache, *, secrets: Secrets = SECRETS, provisioned: bool = True, **found: Any
) -> StatusInputs:
    """The world after a round in which everything worked, but for what is given."""
    compilation = compile(object_cache.objects(), secrets, KEYRING)
    problems: dict[ObjectKey, list[ReferenceProblem]] = {}
    for problem in compilation.problems:
        problems.setdefault((problem.kind, problem.namespace, problem.name), []).append(problem)
    plans = {plan.slug: plan for plan in compilation.plans}
    usual: dict[str, Any] = {
        "reports": {"loja": REPORT} if provisioned else {},
        "active": plans if provisioned else {},
        "ingest_url": "https://in.example",
    }
    return StatusInputs(
        plans=plans,
        minted=compilation.minted,
        problems=problems,
        slugs={("Tenant", plan.namespace, plan.name): plan.slug for plan in compilation.plans},
        **usual | found,
    )


def seen_in(object_cache: ObjectCache, kind: str) -> Seen:
    (found,) = (seen for seen in object_cache if seen.key[0] == kind)
    return found


def judged(kind: str, object_cache: ObjectCache, found: StatusInputs) -> Judgement:
    judgement = judge(seen_in(object_cache, kind), found)
    assert judgement is not None
    return judgement


def said(judgement: Judgement) -> dict[str, tuple[str, str]]:
    return {verdict.type: (verdict.state, verdict.reason) for verdict in judgement.verdicts}


def test_all_is_ready_after_a_round_in_which_everything_worked() -> None:
    object_cache = mirror_of()
    found = world(object_cache)
    for seen in object_cache:
        judgement = judge(seen, found)
        assert judgement is not None
        assert said(judgement)["Ready"] == ("True", "Ready")
    assert judged("Tenant", object_cache, found).fields == {"stream": "T-loja", "planHash": "abc"}
    assert judged("Destination", object_cache, found).fields == {"consumer": "dispatch-pixel"}
    key = found.plans["loja"].funnels[0].public_key
    assert judged("Funnel", object_cache, found).fields == {"publicKey": key, "alsoTaken": None}


def test_what_is_taken_beside_it_is_said_until_it_is_retired() -> None:
    object_cache = mirror_of()
    found = world(object_cache, minted_at=1_796_000_000)
    since = "of before 2026-11-30T00:53:20Z, until `sinal keyring retire --mint`"
    assert (
        judged("GatewayIntegration", object_cache, found).fields["alsoTaken"] == f"the URL {since}"
    )
    assert judged("Funnel", object_cache, found).fields["alsoTaken"] == f"the keys {since}"
    over = judged("GatewayIntegration", object_cache, world(object_cache)).fields
    assert "alsoTaken" in over
    assert over["alsoTaken"] is None


def test_the_webhook_url_is_the_one_that_ingest_opens() -> None:
    object_cache = mirror_of()
    found = world(object_cache)
    token = KEYRING.mint("webhook-token", "GatewayIntegration", "default", "vendas", "")
    url = judged("GatewayIntegration", object_cache, found).fields["webhookURL"]
    assert url == f"https://in.example/t/loja/api/v1/webhooks/hotmart/{token}"


def test_nothing_is_said_before_anything_is_known() -> None:
    object_cache = mirror_of()
    found = world(object_cache, provisioned=False)
    assert judge(seen_in(object_cache, "Tenant"), found) is None


def test_a_broker_that_is_away_makes_the_tenant_not_ready_and_leaves_what_runs() -> None:
    object_cache = mirror_of()
    found = world(object_cache, broker_trouble="NATS is away")
    assert said(judged("Tenant", object_cache, found)) == {
        "Ready": ("False", "BrokerUnavailable"),
        "Provisioned": ("Unknown", "BrokerUnavailable"),
    }
    assert said(judged("Funnel", object_cache, found))["Ready"] == ("True", "Ready")


def test_a_restart_without_a_broker_takes_no_word_back() -> None:
    judged_before = {**SHOP[2], "status": {"observedGeneration": 3, "conditions": []}}
    object_cache = mirror_of(SHOP[0], SHOP[1], judged_before)
    found = world(object_cache, provisioned=False, broker_trouble="NATS is away")
    assert judge(seen_in(object_cache, "Funnel"), found) is None


def test_results_of_provisioning_are_reasons_of_the_tenant_and_its_members() -> None:
    object_cache = mirror_of()
    for result, reason in (("foreign", "StreamForeign"), ("blocked", "ProvisioningBlocked")):
        report = msgspec.structs.replace(REPORT, result=result, reasons=("do this",))
        found = world(object_cache, reports={"loja": report}, active={})
        tenant = judged("Tenant", object_cache, found)
        assert said(tenant) == {"Ready": ("False", reason), "Provisioned": ("False", reason)}
        assert tenant.verdicts[0].message == "do this"
        assert said(judged("Funnel", object_cache, found))["Ready"] == ("False", "TenantNotReady")


def test_a_missing_secret_spoils_its_destination_alone() -> None:
    object_cache = mirror_of()
    found = world(object_cache, secrets=Secrets({("default", "keys"): {"hottok": "h"}}))
    destination = said(judged("Destination", object_cache, found))
    assert destination["Ready"] == destination["CredentialsValid"] == ("False", "SecretKeyMissing")
    assert destination["Provisioned"] == ("True", "AsDeclared")
    assert said(judged("Tenant", object_cache, found))["Ready"] == ("True", "Ready")


def test_a_reference_that_leads_nowhere_is_no_fault_at_first() -> None:
    object_cache = mirror_of(SHOP[2])
    found = world(object_cache)
    assert said(judged("Funnel", object_cache, found))["Ready"] == ("False", "TenantNotFound")
    key = seen_in(object_cache, "Funnel").key
    assert judge(seen_in(object_cache, "Funnel"), replace(found, young=frozenset({key}))) is None


def test_a_paused_tenant_keeps_its_words_and_its_generation() -> None:
    object_cache = mirror_of()
    found = world(object_cache, paused=frozenset({TENANT}))
    change = patch(
        seen_in(object_cache, "Funnel"),
        judged("Funnel", object_cache, found),
        now=datetime.now(UTC),
    )
    assert "observedGeneration" not in change
    assert [condition["type"] for condition in change["conditions"]] == ["Paused"]


def test_an_unreadable_member_holds_its_tenant() -> None:
    object_cache = mirror_of()
    found = world(object_cache, held={TENANT: "Funnel x can't be read"})
    assert said(judged("Tenant", object_cache, found))["Ready"] == ("False", "MemberInvalid")


def test_what_is_said_already_is_not_written_again() -> None:
    object_cache = mirror_of()
    found = world(object_cache)
    for seen in tuple(object_cache):
        judgement = judge(seen, found)
        assert judgement is not None
        change = patch(seen, judgement, now=datetime(2026, 11, 22, tzinfo=UTC))
        assert change
        told = replace(seen, status={**seen.status, **change})
        assert patch(told, judgement, now=datetime(2027, 1, 1, tzinfo=UTC)) == {}
