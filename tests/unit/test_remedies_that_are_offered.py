"""What is said of an event that was kept back: the right field, who kept it, and a way out that
really is one.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sinal_cli.client.explain import story
from sinal_crds.compile import compile
from sinal_crds.keyring import Keyring
from sinal_crds.loading import load
from sinal_crds.plan import ValuePlan
from sinal_hub.meta.pricing import completed
from sinal_hub.meta.validation import SET_CURRENCY, SET_VALUE, InvalidEvent, check

NOW = 1_789_997_600.0
PERSON = {"em": ["a" * 64]}
MANIFESTS = """\
apiVersion: sinal.dev/v1alpha1
kind: Tenant
metadata: {name: loja}
spec: {country: BR}
---
apiVersion: sinal.dev/v1alpha1
kind: Funnel
metadata: {name: curso}
spec: {tenantRef: loja}
"""


def event(name: str = "Purchase", **custom: Any) -> dict[str, Any]:
    return {
        "event_name": name, "event_id": "e1", "event_time": int(NOW), "action_source": "system_generated",
        "user_data": PERSON, "custom_data": custom,
    }  # fmt: skip


def refused(payload: dict[str, Any]) -> str:
    with pytest.raises(InvalidEvent) as error:
        check(payload, NOW)
    assert error.value.reason == "rejected"
    return str(error.value)


def rules_of(remedy: str, folder: Path) -> ValuePlan:
    """What a funnel with the remedy's manifest is compiled to.

    Fails where the manifest check refuses it.
    """
    (written,) = re.findall(r"`([^`]+)`", remedy)
    tenant, funnel = yaml.safe_load_all(MANIFESTS)
    funnel["spec"] |= yaml.safe_load(written)
    file = folder / "remedy.yaml"
    file.write_text(yaml.safe_dump_all([tenant, funnel]))
    found = load([file])
    found.raise_for_errors()
    (plan,) = compile(found.objects, found.secrets, Keyring.generate()).plans
    return plan.funnels[0].value


@pytest.mark.parametrize(
    ("payload", "field", "remedy"),
    [
        (event(value=150.6), "custom_data.currency", SET_CURRENCY),
        (event(), "custom_data.value", SET_VALUE),
        (event(currency="BRL"), "custom_data.value", SET_VALUE),
        (event("Lead", value=10.0), "custom_data.currency", SET_CURRENCY),
    ],
)
def test_it_names_the_field_and_its_way_out_works(
    payload: dict[str, Any], field: str, remedy: str, tmp_path: Path
) -> None:
    said = refused(payload)
    assert said.startswith(f"{field} is missing") and remedy in said
    custom = check(completed(payload, rules_of(remedy, tmp_path)), NOW)["custom_data"]
    assert custom["currency"] == "BRL"
    assert custom["value"] == payload["custom_data"].get("value", 97.0)


def test_what_says_its_own_value_and_currency_stays_as_it_is() -> None:
    whole = event(value=10.0, currency="USD")
    assert completed(whole, ValuePlan(currency="BRL")) is whole
    assert completed(whole, ValuePlan(source="Fixed", fixed="97.00", currency="BRL")) is whole
    assert completed(event(value=10.0), ValuePlan())["custom_data"] == {"value": 10.0}
    assert completed(
        event("Lead"), ValuePlan(source="Fixed", fixed="97.00", currency="BRL")
    ) == event("Lead")


def dead(reason: str, *, attempts: int = 0, why: list[dict[str, Any]] | None = None) -> str:
    attempt = {"at": "2026-03-01T12:00:01Z", "http_status": 400, "code": 100, "subcode": 2804010, "latency_ms": 41,
               "answer": '{"error": {"message": "no"}}'}  # fmt: skip
    told = {
        "id": "ev_1", "kind": "sale", "status": "approved", "tenant": "loja", "funnel": "curso", "gateway": "hotmart",
        "value": None, "currency": None, "received_at": "2026-03-01T12:00:00Z", "match": None, "why": why or [],
        "deliveries": [{"destination": "pixel", "state": "dead", "attempts": [attempt] * attempts}],
        "outcome": {"state": "dead", "reason": reason},
    }  # fmt: skip
    return "\n".join(story("HP1", [told]))


def test_who_kept_it_back_is_said() -> None:
    note = {"code": "kept_back", "params": {
        "destination": "pixel", "reason": "rejected", "detail": "custom_data.currency is "
"missing"}}  # fmt: skip
    ours, metas = dead("rejected", why=[note]), dead("rejected", attempts=1)
    assert (
        "Sinal kept it back from pixel, since Meta would refuse it: custom_data.currency is "
        "missing." in ours
    )
    assert "Meta refuses this very event" not in ours
    assert "Meta refuses this very event" in metas and "Sinal kept it back" not in metas
    assert "mend what is said above, then `sinal replay ev_1`" in ours


@pytest.mark.parametrize(
    ("outcome", "way_out"),
    [("denied", "put a token that it takes into the integration's "
"Secret"), ("busy", "see whether it is up"),
     ("not_understood", "it needs an update")],
)  # fmt: skip
def test_a_notice_that_was_read_back_in_vain_blames_the_gateway_s_api(
    outcome: str, way_out: str
) -> None:
    params = {"destination": None, "reason": "exhausted", "detail": f"read-back: {outcome}"}
    told = dead("exhausted", why=[{"code": "kept_back", "params": params}])
    assert way_out in told and "because the gateway's API did not tell the sale" in told
    assert "without a reason that is known" not in told


def test_no_replay_is_offered_where_none_helps() -> None:
    assert "sinal replay" not in dead("too_old")
    assert "Events Manager first" in dead("in_doubt")
    assert "`sinal replay ev_1` sends it again." in dead("internal_error")
