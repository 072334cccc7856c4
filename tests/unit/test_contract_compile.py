"""Objects to plans: the design's defaults, units, references, who wins, and keys that survive a
restart.
"""

from __future__ import annotations

import hashlib
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds.compile import Compilation, compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import Objects, load_text, parse
from sinal_crds.plan import DataProcessing, TenantPlan
from sinal_crds.references import NOTHING_HELD, Holdings, ReferenceProblem
from sinal_crds.secrets import Secrets

KEYRING = Keyring.generate()
SECRETS = Secrets(
    {
        ("default", "meta"): {"accessToken": "EAAB-1"},
        ("default", "hot"): {"hottok": "h", "other": "x"},
    }
)


def tenant(
    name: str = "loja", spec: dict[str, Any] | None = None, **metadata: Any
) -> dict[str, Any]:
    return _object("Tenant", name, spec or {}, metadata)


def destination(name: str = "pixel", *, of: str = "loja", **metadata: Any) -> dict[str, Any]:
    meta = {"pixelId": "1234567890", "accessTokenSecretRef": {"name": "meta"}}
    return _object("Destination", name, {"tenantRef": of, "meta": meta}, metadata)


def funnel(
    name: str = "curso", spec: dict[str, Any] | None = None, *, of: str = "loja", **meta: Any
) -> dict[str, Any]:
    return _object(
        "Funnel", name, {"tenantRef": of, "destinationRefs": ["pixel"], **(spec or {})}, meta
    )


def integration(
    name: str = "vendas", *, of: str = "loja", to: str = "curso", **metadata: Any
) -> dict[str, Any]:
    spec = {
        "tenantRef": of,
        "funnelRef": to,
        "gateway": "hotmart",
        "credentialsSecretRef": {"name": "hot"},
    }
    return _object("GatewayIntegration", name, spec, metadata)


def _object(kind: str, name: str, spec: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "sinal.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


SHOP = (tenant(), destination(), funnel(), integration())


def compiled(
    *objects: dict[str, Any],
    secrets: Secrets = SECRETS,
    keyring: Keyring = KEYRING,
    held: Holdings = NOTHING_HELD,
) -> Compilation:
    return compile(Objects.of(map(parse, objects)), secrets, keyring, held=held)


def only_plan(*objects: dict[str, Any], secrets: Secrets = SECRETS) -> TenantPlan:
    (plan,) = compiled(*objects, secrets=secrets).plans
    return plan


def reasons(compilation: Compilation) -> list[tuple[str, str, str]]:
    return [(problem.kind, problem.field, problem.reason) for problem in compilation.problems]


def test_a_whole_shop_compiles_without_problems() -> None:
    compilation = compiled(*SHOP)
    assert compilation.problems == ()
    plan = compilation.plans[0]
    assert (plan.slug, plan.namespace, plan.name, plan.country) == ("loja", "default", "loja", "BR")
    assert plan.destinations[0].access_token == "EAAB-1"
    assert plan.funnels[0].destinations == ("pixel",)
    assert (plan.integrations[0].funnel, plan.integrations[0].gateway) == ("curso", "hotmart")
    assert compilation.plan("loja") is plan
    assert compilation.plan("outra") is None


def test_windows_and_thresholds_default_to_the_contract() -> None:
    matching = only_plan(*SHOP).funnels[0].matching
    assert (matching.click_window_s, matching.view_window_s) == (7 * 86_400, 86_400)
    assert (matching.match_threshold, matching.review_threshold) == (0.85, 0.60)


def test_events_default_to_the_contract() -> None:
    events = only_plan(*SHOP).funnels[0].events
    assert events["approved"] == "Purchase"
    assert events["initiate_checkout"] == "InitiateCheckout"
    assert events["lead"] == "Lead"
    assert events["pending"] == "AddPaymentInfo"
    assert not {"refunded", "chargeback", "completed", "click"} & events.keys()


def test_a_funnel_overrides_adds_and_removes_events() -> None:
    rules = [
        {"when": "approved", "send": "Subscribe"},
        {"when": "pending", "send": "None"},
        {"when": "refunded", "send": "Reembolso"},
    ]
    events = only_plan(tenant(), destination(), funnel(spec={"events": rules})).funnels[0].events
    assert (events["approved"], events["refunded"]) == ("Subscribe", "Reembolso")
    assert "pending" not in events
    assert events["lead"] == "Lead"


def test_units_of_the_manifest_become_those_of_the_plan() -> None:
    limits = {"eventsPerMinute": 5, "maxBytes": 1 << 21, "maxAgeHours": 48, "retentionDays": 30}
    spec = {"plan": limits, "privacy": {"retentionDays": 10}}
    rules = {"clickWindowHours": 3, "viewWindowHours": 2, "waitForClickSeconds": 7}
    plan = only_plan(tenant(spec=spec), destination(), funnel(spec={"matching": rules}))
    assert (plan.limits.events_per_minute, plan.limits.max_bytes) == (5, 1 << 21)
    assert (plan.limits.max_age_s, plan.limits.retention_days) == (48 * 3600, 10)
    matching = plan.funnels[0].matching
    assert (matching.click_window_s, matching.view_window_s, matching.wait_for_click_s) == (
        10_800,
        7_200,
        7,
    )


@pytest.mark.parametrize(("own", "result"), [(None, "Denied"), ("Granted", "Granted")])
def test_consent_is_the_tenants_unless_the_funnel_says_otherwise(
    own: str | None, result: str
) -> None:
    consent = {} if own is None else {"consent": {"default": own}}
    plan = only_plan(
        tenant(spec={"consent": {"default": "Denied"}}), destination(), funnel(spec=consent)
    )
    assert plan.consent_default == "Denied"
    assert plan.funnels[0].consent.default == result


def test_what_a_funnel_keeps_from_meta_and_where_it_must_ask_are_in_the_plan() -> None:
    plain = only_plan(*SHOP).funnels[0]
    assert (plain.withheld, plain.consent.required_in) == ((), ())
    spec = {
        "withhold": ["event_source_url", "custom_data.*"],
        "consent": {"requiredIn": ["PT", "DE"]},
    }
    asked = only_plan(tenant(), destination(), funnel(spec=spec)).funnels[0]
    assert (asked.withheld, asked.consent.required_in) == (
        ("event_source_url", "custom_data.*"),
        ("DE", "PT"),
    )


@pytest.mark.parametrize(
    ("declared", "planned"),
    [
        (None, None),
        ({}, None),
        ({"options": []}, DataProcessing()),
        ({"options": ["LDU"]}, DataProcessing(options=("LDU",))),
        (
            {"options": ["LDU"], "country": 1, "state": 1000},
            DataProcessing(options=("LDU",), country=1, state=1000),
        ),
    ],
)
def test_data_processing_options_are_the_destinations(
    declared: Any, planned: DataProcessing | None
) -> None:
    meta = {} if declared is None else {"dataProcessing": declared}
    declaring = destination()
    declaring["spec"]["meta"] |= meta
    plan = only_plan(tenant(), declaring, funnel())
    assert plan.destinations[0].data_processing == planned


def test_renewals_can_be_skipped() -> None:
    assert only_plan(*SHOP).funnels[0].send_renewals
    assert (
        not only_plan(tenant(), destination(), funnel(spec={"renewals": "Skip"}))
        .funnels[0]
        .send_renewals
    )


@given(st.randoms(use_true_random=False))
def test_the_order_of_objects_changes_nothing(rng: random.Random) -> None:
    objects = [
        *SHOP,
        tenant("b"),
        destination("p2", of="b"),
        funnel("f2", of="b"),
        integration("g2", of="b", to="f2"),
    ]
    shuffled = list(objects)
    rng.shuffle(shuffled)
    assert compiled(*shuffled).plans == compiled(*objects).plans
    assert compiled(*shuffled).minted == compiled(*objects).minted


def test_keys_and_tokens_are_in_the_plan_by_hash_only() -> None:
    compilation = compiled(*SHOP)
    minted, plan = compilation.minted["loja"], compilation.plans[0]
    keys, webhook = minted["funnels"]["curso"], minted["webhooks"]["vendas"]
    assert plan.funnels[0].public_key == keys["public_key"]
    assert keys["public_key"].startswith("fk_")
    assert keys["server_key"].startswith("sk_")
    assert (
        plan.funnels[0].server_key_sha256 == hashlib.sha256(keys["server_key"].encode()).hexdigest()
    )
    assert webhook["gateway"] == "hotmart"
    assert (
        plan.integrations[0].token_sha256 == hashlib.sha256(webhook["token"].encode()).hexdigest()
    )
    encoded = msgspec.json.encode(plan).decode()
    assert keys["server_key"] not in encoded
    assert webhook["token"] not in encoded
    assert keys["server_key"] not in repr(compilation)


def test_a_token_has_at_least_128_bits_and_fits_an_url() -> None:
    token = compiled(*SHOP).minted["loja"]["webhooks"]["vendas"]["token"]
    assert len(token) * 5 >= 128  # base32
    assert set(token) <= set("abcdefghijklmnopqrstuvwxyz234567")


def test_keys_survive_a_restart_and_differ_between_installations() -> None:
    again = Keyring.from_json(KEYRING.to_json())
    assert compiled(*SHOP, keyring=again).minted == compiled(*SHOP).minted
    assert compiled(*SHOP, keyring=KEYRING.rotate()).minted == compiled(*SHOP).minted
    other = compiled(*SHOP, keyring=Keyring.generate()).minted["loja"]
    assert (
        other["webhooks"]["vendas"]["token"]
        != compiled(*SHOP).minted["loja"]["webhooks"]["vendas"]["token"]
    )


def test_an_annotation_rotates_the_keys_of_its_object_only() -> None:
    rotated = funnel(annotations={"sinal.dev/rotate": "2"})
    before, after = (
        compiled(*SHOP).minted["loja"],
        compiled(*SHOP[:2], rotated, SHOP[3]).minted["loja"],
    )
    assert before["funnels"]["curso"]["server_key"] != after["funnels"]["curso"]["server_key"]
    assert before["funnels"]["curso"]["public_key"] != after["funnels"]["curso"]["public_key"]
    assert before["webhooks"] == after["webhooks"]


def test_namespaces_and_names_do_not_run_together() -> None:
    def token(namespace: str, name: str) -> str:
        where: dict[str, Any] = {"namespace": namespace}
        shop = (
            tenant("t", **where),
            funnel("f", of="t", **where),
            integration(name, of="t", to="f", **where),
        )
        return str(compiled(*shop).minted["t"]["webhooks"][name]["token"])

    assert token("a", "b-c") != token("a-b", "c")


def test_the_owner_is_the_objects_uid_or_stable_without_one() -> None:
    assert (
        only_plan(tenant(uid="5c9ff0f6-0d6f-4f4e-9a3f-1f0e5c0f0a11")).uid
        == "5c9ff0f6-0d6f-4f4e-9a3f-1f0e5c0f0a11"
    )
    assert only_plan(tenant()).uid == only_plan(tenant()).uid
    assert only_plan(tenant()).uid != only_plan(tenant(namespace="outra")).uid


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ({}, "SecretNotFound"),
        ({"accessToken": ""}, "SecretKeyMissing"),
        ({"token": "x"}, "SecretKeyMissing"),
    ],
)
def test_a_missing_token_is_a_problem_of_that_destination_only(
    secrets: dict[str, str], reason: str
) -> None:
    values = {("default", "hot"): {"hottok": "h"}} | (
        {("default", "meta"): secrets} if secrets else {}
    )
    compilation = compiled(*SHOP, secrets=Secrets(values))
    plan = compilation.plans[0]
    assert [problem.reason for problem in compilation.problems] == [reason]
    assert plan.destinations[0].access_token == ""
    assert plan.destinations[0].problem
    assert "meta" in plan.destinations[0].problem
    assert plan.integrations[0].problem is None


def test_only_the_keys_a_gateway_needs_travel() -> None:
    assert only_plan(*SHOP).integrations[0].credentials == {"hottok": "h"}
    lost = compiled(*SHOP, secrets=Secrets({("default", "meta"): {"accessToken": "x"}}))
    assert reasons(lost) == [
        ("GatewayIntegration", "spec.credentialsSecretRef.name", "SecretNotFound")
    ]
    assert lost.plans[0].integrations[0].problem


def test_dangling_references_leave_the_rest_at_work() -> None:
    stray = funnel("outro", of="ninguem")
    both = funnel(spec={"destinationRefs": ["sumiu", "pixel"]})
    compilation = compiled(tenant(), destination(), both, stray, integration(to="sumiu"))
    assert sorted(reasons(compilation)) == [
        ("Funnel", "spec.destinationRefs[0]", "DestinationNotFound"),
        ("Funnel", "spec.tenantRef", "TenantNotFound"),
        ("GatewayIntegration", "spec.funnelRef", "FunnelNotFound"),
    ]
    plan = compilation.plans[0]
    assert [item.name for item in plan.funnels] == ["curso"]
    assert plan.funnels[0].destinations == ("pixel",)
    assert plan.integrations[0].problem


def test_what_belongs_to_another_tenant_can_not_be_used() -> None:
    compilation = compiled(
        tenant(), tenant("b"), destination(of="b"), funnel(), integration(of="b")
    )
    assert sorted(reasons(compilation)) == [
        ("Funnel", "spec.destinationRefs[0]", "TenantMismatch"),
        ("GatewayIntegration", "spec.funnelRef", "TenantMismatch"),
    ]
    funnels = {item.name: item for plan in compilation.plans for item in plan.funnels}
    assert funnels["curso"].destinations == ()


def test_of_two_tenants_with_one_slug_the_older_wins() -> None:
    old = tenant("b", {"slug": "loja"}, namespace="y", creationTimestamp="2025-01-01T00:00:00Z")
    new = tenant("loja", namespace="x", creationTimestamp="2025-02-01T00:00:00Z")
    compilation = compiled(new, old, funnel(namespace="x", spec={"destinationRefs": []}))
    assert [(plan.namespace, plan.name) for plan in compilation.plans] == [("y", "b")]
    assert [(problem.namespace, problem.reason) for problem in compilation.problems] == [
        ("x", "SlugTaken"),
        ("x", "TenantNotFound"),
    ]


def test_a_host_stays_with_the_older_tenant() -> None:
    hosts = {"ingest": {"hosts": ["t.example", "own.example"]}}
    old = tenant(
        "b", {"ingest": {"hosts": ["t.example"]}}, creationTimestamp="2025-01-01T00:00:00Z"
    )
    new = tenant("a", hosts, creationTimestamp="2025-02-01T00:00:00Z")
    compilation = compiled(new, old)
    assert {plan.slug: plan.hosts for plan in compilation.plans} == {
        "a": ("own.example",),
        "b": ("t.example",),
    }
    assert reasons(compilation) == [("Tenant", "spec.ingest.hosts[0]", "HostTaken")]


def test_who_works_keeps_its_slug_and_its_hosts_from_everybody() -> None:
    hosts = {"ingest": {"hosts": ["t.example"]}}
    old = tenant(
        "a", {"slug": "shop", **hosts}, uid="uid-a", creationTimestamp="2025-01-01T00:00:00Z"
    )
    new = tenant(
        "b", {"slug": "shop", **hosts}, uid="uid-b", creationTimestamp="2025-02-01T00:00:00Z"
    )
    third = tenant("c", hosts, uid="uid-c", creationTimestamp="2025-03-01T00:00:00Z")
    held = Holdings(slugs={"shop": "uid-b"}, hosts={"t.example": "uid-c"})
    compilation = compiled(old, new, third, held=held)
    assert {plan.uid: plan.hosts for plan in compilation.plans} == {
        "uid-b": (),
        "uid-c": ("t.example",),
    }
    gone = Holdings(slugs={"shop": "uid-z"}, hosts={"t.example": "uid-z"})
    assert {plan.uid: plan.hosts for plan in compiled(old, new, third, held=gone).plans} == {
        "uid-a": ("t.example",),
        "uid-c": (),
    }


def test_an_unknown_time_zone_does_not_reach_the_runtime() -> None:
    compilation = compiled(tenant(spec={"timezone": "America/SaoPaulo"}))
    assert compilation.plans[0].timezone == "America/Sao_Paulo"
    assert reasons(compilation) == [("Tenant", "spec.timezone", "TimezoneUnknown")]


def test_problems_read_as_one_line() -> None:
    (problem,) = compiled(funnel()).problems
    assert isinstance(problem, ReferenceProblem)
    assert str(problem).startswith(
        "Funnel default/curso: spec.tenantRef: Tenant loja does not exist"
    )


def test_nothing_compiles_to_nothing() -> None:
    empty = compile(load_text("").objects, Secrets(), KEYRING)
    assert (empty.plans, empty.problems, dict(empty.minted)) == ((), (), {})


@pytest.mark.parametrize("kind", ["Tenant", "Destination", "Funnel", "GatewayIntegration"])
def test_what_is_suspended_is_suspended_in_the_plan_and_nothing_else_is(kind: str) -> None:
    objects = [one | {"spec": one["spec"] | {"suspended": one["kind"] == kind}} for one in SHOP]
    (plan,) = compiled(*objects).plans
    found = {
        "Tenant": plan.suspended,
        "Destination": plan.destinations[0].suspended,
        "Funnel": plan.funnels[0].suspended,
        "GatewayIntegration": plan.integrations[0].suspended,
    }
    assert [name for name, stopped in found.items() if stopped] == [kind]
    assert plan.shuts(plan.funnels[0]) == (kind in ("Tenant", "Funnel"))
    assert plan.refuses(plan.integrations[0]) == (
        kind in ("Tenant", "Funnel", "GatewayIntegration")
    )
    assert plan.rests(plan.destinations[0]) == (kind in ("Tenant", "Destination"))


def test_who_says_nothing_is_not_suspended() -> None:
    (plan,) = compiled(*SHOP).plans
    assert not (plan.suspended or plan.destinations[0].suspended)
    assert not (plan.funnels[0].suspended or plan.integrations[0].suspended)
