"""Nothing clear of a person leaves the edge: not in messages, not in URLs, not in logs."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sinal_hub import identity
from sinal_hub.intake import urls

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, SECRET, TOKEN, EdgeWorld, a_sale

BASE = "https://curso.example/obrigado"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (f"{BASE}?email=maria%40loja.example&utm_source=fb", f"{BASE}?utm_source=fb"),
        (f"{BASE}?q=maria@loja.example&fbclid=IwAR1", f"{BASE}?fbclid=IwAR1"),
        (f"{BASE}?phone=11999998888&sck=abc", f"{BASE}?sck=abc"),
        (f"{BASE}?checkout[email]=x&a=1", f"{BASE}?a=1"),
        (f"{BASE}?customer_name=Maria&Telefone=1&CPF=1&first-name=M&cep=1", BASE),
        (f"{BASE}?next=%2Fp%3Femail%3Dmaria%2540loja.example", BASE),
        (f"{BASE}?x=123.456.789-09", BASE),
        (f"{BASE}?x=%2B5511999998888", BASE),
        ("https://user:pass@curso.example/p?a=1", "https://curso.example/p?a=1"),
        (f"{BASE}#token=abc", BASE),
        ("https://curso.example/u/maria@loja.example/p", "https://curso.example/u/p"),
        ("https://curso.example/u/maria%40loja.example/p", "https://curso.example/u/p"),
        ("https://curso.example/cpf/123.456.789-09", "https://curso.example/cpf"),
        (f"{BASE}?campaign_name=Nov&ad_name=v1&utm_term=curso&gclid=x", None),
        (f"{BASE}?fbclid=IwAR0%2FA_b-c~d&utm_campaign=Nov%20BR", None),
        ("android-app://com.google.android.gm/", None),
        (BASE, None),
    ],
)
def test_urls_lose_the_person_and_keep_the_campaign(url: str, kept: str | None) -> None:
    assert urls.scrub(url) == (url if kept is None else kept)


@pytest.mark.parametrize(
    "name",
    [
        "tel" + "1" * 60 + "x",
        "tel" + "_1" * 300 + "x",
        "_tel" * 900 + "x",
        "tel" + "ddd" * 900 + "x",
    ],
)
def test_no_name_of_a_parameter_holds_the_edge_up(name: str) -> None:
    """In a process of its own: a pattern that tries every way to part the digits would never come
    back.
    """
    code = f"from sinal_hub.intake import urls; print(urls.scrub('https://a.example/?{name}=1'))"
    done = subprocess.run(
        [sys.executable, "-c", code], text=True, capture_output=True, check=True, timeout=60
    )
    assert done.stdout == f"https://a.example/?{name}=1\n"


@given(st.text(max_size=300))
def test_scrubbing_takes_any_text_and_is_done_once(text: str) -> None:
    once = urls.scrub(text)
    assert urls.scrub(once) == once and len(once) <= len(text)


async def test_no_clear_text_is_published(edge_world: EdgeWorld) -> None:
    page = f"{LANDING}/p?email=maria@loja.example&nome=Maria"
    body = {
        "funnel": PUBLIC_KEY,
        "url": page,
        "referrer": page,
        "external_id": "Maria@loja.example",
        "utm": {"content": "maria@loja.example", "term": "curso"},
        "user": {
            "email": "maria@loja.example",
            "phone": "+55 11 99999-8888",
            "first_name": "Maria",
            "city": "Recife",
        },
    }
    assert (
        await edge_world.client().post("/api/v1/track/lead", body, headers={"origin": LANDING})
    ).status == 202
    raw = edge_world.bus.messages[0][2].lower()
    assert not [word for word in (b"maria", b"99999", b"recife") if word in raw]
    assert edge_world.bus.events[0].utm.term == "curso"


@pytest.mark.parametrize(
    "told",
    [
        "52998224725",
        "529.982.247-25",
        "+55 (11) 98765-4321",
        "12.345.678/0001-95",
        "Maria@loja.example",
    ],
)
async def test_an_external_id_that_is_a_person_is_stored_as_meta_wants_it(
    edge_world: EdgeWorld, told: str
) -> None:
    body = {"funnel": PUBLIC_KEY, "external_id": told}
    await edge_world.client().post("/api/v1/track/lead", body, headers={"origin": LANDING})
    stored = edge_world.bus.events[0].external_id
    assert (
        stored
        == hashlib.sha256(told.lower().encode()).hexdigest()
        == identity.hashed("external_id", told)
    )
    assert identity.hashed("external_id", stored) == stored


@pytest.mark.parametrize(
    "told", ["42", "cust-1029384756", "3f2b8c1e-5d1c-4c0e-9a57-0b8f5f7f4a10", "ABC12345678901"]
)
async def test_the_tenants_own_ids_stay_readable(edge_world: EdgeWorld, told: str) -> None:
    body = {"funnel": PUBLIC_KEY, "external_id": told}
    await edge_world.client().post("/api/v1/track/lead", body, headers={"origin": LANDING})
    assert edge_world.bus.events[0].external_id == told


async def test_log_lines_hold_routes_and_names_only(edge_world: EdgeWorld) -> None:
    with capture_logs() as lines:
        client = edge_world.client()
        await client.post(
            f"/t/loja/api/v1/webhooks/signed/{TOKEN}?hottok={SECRET}",
            b"[]",
            headers={"x-signature": SECRET},
        )
        await client.post(
            f"/api/v1/webhooks/signed/{TOKEN}", b"BOOM", headers={"x-signature": SECRET}
        )
        await client.post(
            "/api/v1/track/lead?email=maria@loja.example", b"{}", headers={"origin": LANDING}
        )
    # a slow machine has other things to tell as well
    first, *_ = (line for line in lines if "route" in line)
    assert first["route"] == "/t/{slug}/api/v1/webhooks/{gateway}/{token}"
    assert (first["tenant"], first["integration"], first["status"]) == ("loja", "vendas", 202)
    assert not [word for word in (TOKEN, SECRET, "maria") if word in str(lines)]


async def test_fault_of_ours_is_a_problem_that_tells_nothing(edge_world: EdgeWorld) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("row maria@loja.example")

    edge_world.bus.publish = fail  # type: ignore[assignment,method-assign]
    with capture_logs() as lines:
        reply = await edge_world.client().post(
            f"/api/v1/webhooks/signed/{TOKEN}", _sale(), headers={"x-signature": SECRET}
        )
    assert (reply.status, reply.headers["content-type"]) == (500, "application/problem+json")
    assert b"maria" not in reply.body and "maria" not in str(lines)
    assert [line["error"] for line in lines if line["event"] == "ingest.fault"] == ["RuntimeError"]


def _sale() -> bytes:
    import msgspec

    return msgspec.json.encode([a_sale()])
