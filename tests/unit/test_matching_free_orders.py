"""Orders that cost nothing: no Purchase, unless the funnel wants them."""

from __future__ import annotations

import msgspec
import pytest

from sinal_crds.plan import DestinationPlan, FunnelPlan, TenantPlan
from sinal_hub.matching.decision import sale_rules
from sinal_hub.model.events import Event

from tests.support.fix_ingest import a_sale, a_tenant
from tests.support.sales import fields_of


def ruled(
    value: str | None, *, status: str = "approved", **funnel: object
) -> tuple[str, str | None]:
    """What the funnel's rules make of a sale: what is done, and why not."""
    known = FunnelPlan(
        name="curso",
        type="lead",
        public_key="fk_1",
        server_key_sha256="0",
        destinations=("pixel",),
        events={"approved": "Purchase", "initiate_checkout": "InitiateCheckout"},
    )
    plan = msgspec.structs.replace(known, **funnel)
    tenant: TenantPlan = msgspec.structs.replace(
        a_tenant(funnels=(plan,)), destinations=(DestinationPlan(name="pixel", pixel_id="1"),)
    )
    sale = a_sale(value=value, status=status)
    event = Event(
        id="e1", tenant="loja", funnel="curso", kind="sale", source="webhook", key="k", natural_key=True,
        occurred_at=1, received_at=1, **fields_of(sale),
    )  # fmt: skip
    verdict = sale_rules(tenant, plan, event)
    return verdict.action, verdict.reason


@pytest.mark.parametrize("value", ["0.00", "0", "0.0", "00.00"])
def test_orders_that_cost_nothing_are_no_purchase_unless_the_funnel_says_so(value: str) -> None:
    assert ruled(value) == ("withhold", "policy")
    assert ruled(value, send_free_orders=True) == ("send", None)


@pytest.mark.parametrize("value", ["0.01", "10.00", "100", None])
def test_what_cost_something_or_tells_no_value_is_not_free(value: str | None) -> None:
    assert ruled(value) == ("send", None)


def test_only_a_purchase_is_kept_back() -> None:
    assert ruled("0.00", status="initiate_checkout") == ("send", None)
    assert ruled("0.00", events={"approved": "CompleteRegistration"}) == ("send", None)
