"""Look-ups of a snapshot: who is behind a host, a key or a token, and which lanes there are."""

from __future__ import annotations

import pytest

from sinal_core.nats import Lane
from sinal_core.plans import Snapshot
from sinal_core.plans.testing import StaticPlans
from sinal_crds.plan import BatchPlan, DestinationPlan, RateLimit, TenantPlan

from tests.support.fix_plans import make_plan


@pytest.mark.parametrize(
    "host",
    ["track.loja.example", "TRACK.Loja.Example", "track.loja.example:8443", "track.loja.example."],
)
def test_a_host_names_its_tenant_however_it_is_written(host: str) -> None:
    found = Snapshot([make_plan("loja"), make_plan("other")]).by_host(host)
    assert found is not None
    assert found.slug == "loja"


@pytest.mark.parametrize("host", ["", "loja.example", "x.track.loja.example", "[::1]:80", ":80"])
def test_another_host_names_nobody(host: str) -> None:
    assert Snapshot([make_plan("loja")]).by_host(host) is None


def test_keys_and_tokens_are_given_in_clear_and_found_by_their_hash() -> None:
    plan = make_plan("loja")
    snapshot = Snapshot([plan, make_plan("other")])
    assert snapshot.by_public_key("fk_loja") == (plan, plan.funnels[0])
    assert snapshot.by_server_key("sk_loja") == (plan, plan.funnels[0])
    assert snapshot.by_token("token-loja") == (plan, plan.integrations[0])
    hashes = (plan.funnels[0].server_key_sha256, plan.integrations[0].token_sha256)
    for wrong in ("", "fk_", "token-", "\udcff", *hashes):
        assert snapshot.by_public_key(wrong) is None
        assert snapshot.by_server_key(wrong) is None
        assert snapshot.by_token(wrong) is None


def test_a_host_that_two_tenants_claim_stays_with_the_same_one() -> None:
    plans = [make_plan(slug, hosts=("shared.example",)) for slug in ("b", "a")]
    for order in (plans, plans[::-1]):
        found = Snapshot(order).by_host("shared.example")
        assert found is not None
        assert found.slug == "a"


def test_lanes_are_one_a_tenant_for_matching_and_one_a_destination_for_dispatch() -> None:
    plan = TenantPlan(
        slug="loja",
        namespace="n",
        name="loja",
        uid="u",
        suspended=True,  # what it has accepted must still come to an end
        destinations=(
            DestinationPlan(
                name="pixel",
                pixel_id="1",
                batch=BatchPlan(max_events=50, max_age_ms=250),
                rate_limit=RateLimit(concurrency=3),
            ),
        ),
    )
    snapshot = Snapshot([plan, make_plan("other")])
    assert snapshot.lanes("match") == (
        Lane("loja", "T-loja", "match", "match"),
        Lane("other", "T-other", "match", "match"),
    )
    assert snapshot.lanes("dispatch") == (
        Lane("loja", "T-loja", "dispatch-pixel", "pixel", 50, 0.25, 3),
    )


def test_static_plans_tell_subscribers_as_the_real_ones_do() -> None:
    plans = StaticPlans(make_plan("one"))
    told: list[Snapshot] = []
    forget = plans.subscribe(told.append)
    plans.set(make_plan("two"))
    forget()
    plans.set()
    assert [list(snapshot.tenants) for snapshot in told] == [["one"], ["two"]]
