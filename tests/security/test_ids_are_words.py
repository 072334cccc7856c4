"""Attacks by ids: a key for the tenant `*`, and terminal and log lines out of control characters.

Before: a key of `*` listed every tenant's quarantine; an `event_id` or `order_id` with ESC, CR or
LF was taken and went on to Meta and into JSON lines.
"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from sinal_hub.model.sale import MalformedSale, checked

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, EdgeWorld, a_sale
from tests.support.fix_operations import ApiRig

CONTROL = ["\x1b[2J", "a\rb", "a\nb", "a\tb", "a\x7fb", "a\x9bb"]


@pytest.mark.parametrize("tenant", ["*", ">", "loja.x", "Loja", "a b", "-a", "x" * 41])
async def test_a_key_is_for_a_tenant_and_for_nothing_that_means_all(
    api_rig: ApiRig, tenant: str
) -> None:
    made = await api_rig.call(
        "POST", "/api/v1/keys", json={"tenant": tenant, "role": "viewer", "name": "k"}
    )
    assert made.status_code == 400
    assert [error["field"] for error in made.json()["errors"]] == ["tenant"]


async def tracked(world: EdgeWorld, **said: Any) -> Any:
    body = {"funnel": PUBLIC_KEY, "url": f"{LANDING}/p", **said}
    return await world.client().post("/api/v1/track/lead", body, headers={"origin": LANDING})


@pytest.mark.parametrize("text", CONTROL)
@pytest.mark.parametrize("field", ["event_id", "order_id", "external_id", "items"])
async def test_an_id_with_a_control_character_is_refused_by_its_name(
    edge_world: EdgeWorld, field: str, text: str
) -> None:
    value = [{"id": text}] if field == "items" else text
    reply = await tracked(edge_world, **{field: value})
    assert reply.status == 400
    (error,) = [
        error for error in reply.json()["errors"] if "control character" in error["message"]
    ]
    assert error["field"] == ("items[0].id" if field == "items" else field)
    assert not edge_world.bus.messages


@pytest.mark.parametrize("text", CONTROL)
async def test_words_are_taken_without_them(edge_world: EdgeWorld, text: str) -> None:
    """A campaign's name is no reason to lose an event."""
    assert (
        await tracked(edge_world, utm={"campaign": f"verão {text}"}, referrer=f"{LANDING}/{text}")
    ).status == 202
    ((_, _, body),) = edge_world.bus.messages
    written = body.decode()
    campaign = msgspec.json.decode(body)["utm"]["campaign"]
    assert campaign.startswith("verão ") and campaign.isprintable()
    assert "\\u001b" not in written and "\\n" not in written and "\\r" not in written


@pytest.mark.parametrize("field", ["order_id", "parent_order_id"])
def test_an_order_of_a_gateway_has_none_either(field: str) -> None:
    sale = msgspec.structs.replace(a_sale(), **{field: "HP1\x1b]0;x\x07"})
    with pytest.raises(MalformedSale, match=f"`{field}` contains a control character"):
        checked([sale])
