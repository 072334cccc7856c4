"""What is said of changed manifests, and how a tenant whose manifest is gone leaves: pure, without
a broker.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from sinal_cli.declared import Declared, compiled, keeping
from sinal_cli.departures import Departures
from sinal_cli.local import changes
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load_text

KEYRING = Keyring.generate()
SHOP = """
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {}
---
apiVersion: sinal.dev/v1alpha1
kind: Destination
metadata: {name: pixel}
spec:
  tenantRef: loja
  meta: {pixelId: "1234567890123456", accessTokenSecretRef: {name: meta}}
  batch: {maxAgeMillis: 200}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja, type: Perpetual, landingHosts: [loja.example], destinationRefs: [pixel]}
---
apiVersion: v1
kind: Secret
metadata: {name: meta}
stringData: {accessToken: EAAfirst}
"""
HOOK = """
---
apiVersion: sinal.dev/v1alpha1
kind: GatewayIntegration
metadata: {name: kirvano}
spec: {tenantRef: loja, gateway: kirvano, funnelRef: curso}
"""


def declared(text: str) -> Declared:
    loaded = load_text(text)
    loaded.raise_for_errors()
    return compiled(loaded.objects, loaded.secrets, KEYRING)


def said(before: str, after: str) -> list[tuple[str, str]]:
    return list(changes.between(declared(before), declared(after)))


def test_a_changed_field_is_told_with_both_values() -> None:
    assert said(SHOP, SHOP.replace("200", "300")) == [
        ("applied", "Destination pixel (batch.maxAgeMillis 200 → 300)")
    ]


def test_of_many_changed_fields_some_are_told_and_the_rest_counted() -> None:
    many = SHOP.replace(
        "spec: {}",
        "spec: {country: PT, timezone: Europe/Lisbon, suspended: true, slug: x, plan: "
        "{eventsPerMinute: 9}}",
    )
    (verb, what), *rest = said(SHOP, many)
    assert (verb, rest) == ("applied", [])
    assert what.count("→") == changes.MOST
    assert what.endswith("and 2 more)")


def test_what_comes_and_goes_is_told() -> None:
    assert said(SHOP, SHOP + HOOK) == [("added", "GatewayIntegration kirvano")]
    assert said(SHOP + HOOK, SHOP) == [("removed", "GatewayIntegration kirvano")]
    assert said(SHOP, SHOP) == []


def test_a_changed_secret_is_told_by_its_keys_and_never_by_a_value() -> None:
    assert said(SHOP, SHOP.replace("EAAfirst", "EAAsecond")) == [
        ("applied", "Secret meta (accessToken)")
    ]


def test_a_reference_that_leads_nowhere_is_told_once_and_its_mending_too() -> None:
    broken = declared(SHOP.replace("destinationRefs: [pixel]", "destinationRefs: [pixle]"))
    lines = list(changes.troubles(Declared(), broken))
    assert [verb for verb, _ in lines] == ["problem"]
    assert "Funnel curso" in lines[0][1]
    assert list(changes.troubles(broken, broken)) == []
    assert [verb for verb, _ in changes.troubles(broken, declared(SHOP))] == ["mended"]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_tenant_put_back_in_time_was_never_away(clock: Clock) -> None:
    departures, shop = Departures(60, clock=clock), declared(SHOP + HOOK)
    departures.look(shop.compilation.plans)
    assert departures.look(()).leaving == ("loja",)
    clock.now += 59
    kept = keeping(Declared(), shop, {one.key for one in departures.leaving}, KEYRING)
    assert kept.compilation.plans == shop.compilation.plans
    assert departures.due() == departures.look(()) == ((), (), ())
    assert departures.look(shop.compilation.plans).stayed == ("loja",)
    assert (departures.leaving, departures.retired()) == ((), ())


def test_members_that_are_still_declared_are_taken_as_they_are_now(clock: Clock) -> None:
    shop = declared(SHOP)
    members = declared("---".join(SHOP.split("---")[1:]).replace("200", "300"))
    kept = keeping(members, shop, {("Tenant", "default", "loja")}, KEYRING)
    assert kept.compilation.problems == ()
    assert [one.batch.max_age_ms for one in kept.compilation.plans[0].destinations] == [300]


def test_when_the_time_is_over_it_ends_once(clock: Clock) -> None:
    departures = Departures(60, clock=clock)
    departures.look(declared(SHOP).compilation.plans)
    departures.look(())
    clock.now += 60
    assert departures.due().ended == ("loja",)
    assert departures.due().ended == ()
    assert [one.slug for one in departures.retired()] == ["loja"]


def test_without_a_grace_it_ends_at_once(clock: Clock) -> None:
    departures = Departures(0, clock=clock)
    departures.look(declared(SHOP).compilation.plans)
    assert departures.look(()) == ((), (), ("loja",))


def test_a_manifest_that_went_away_while_nobody_looked_is_a_departure_too(
    tmp_path: Path, clock: Clock
) -> None:
    file = tmp_path / "tenants.json"
    Departures(60, file=file, clock=clock).look(declared(SHOP).compilation.plans)
    later = Departures(60, file=file, clock=clock)
    assert later.look(()).leaving == ("loja",)
    clock.now += 60
    assert later.due().ended == ("loja",)
    assert Departures(60, file=file, clock=clock).look(()) == ((), (), ())
