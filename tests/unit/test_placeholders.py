"""What programs write for nothing is nothing: as an id it joins nobody, as a person's datum it is
not hashed.
"""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest

from sinal_hub import identity
from sinal_hub.gateways import cartpanda, kirvano
from sinal_hub.model import placeholders
from sinal_hub.model.events import Utm
from sinal_hub.model.sale import Product, Sale, Tracking, checked

from tests.support.fix_ingest import LANDING, PUBLIC_KEY, EdgeWorld

WORDS = [
    "undefined",
    "NULL",
    "None",
    "NaN",
    "[object Object]",
    "N/A",
    '"null"',
    "null null",
    "{{lead.id}}",
    "%%ID%%",
    "${id}",
]
NO_IDS = [
    *WORDS,
    "0",
    "000",
    "-",
    "--",
    "-1",
    "xxx",
    "aaa",
    "teste",
    "Guest",
    "anonymous",
    "not set",
    "false",
    "__CLICK_ID__",
    "00000000-0000-0000-0000-000000000000",
    "111.111.111-11",
    "{userid}",
    "user-{{id}}",
    "user_undefined",
    "undefined-undefined",
    "customer:null",
    "id=undefined",
    "customer_external_reference_undefined",
    "usuario",
    "\\N",
    "(null)",
]
IDS = [
    "1",
    "7",
    "111",
    "1111",
    "12345678",
    "maria",
    "null-7",
    "00000000-0000-4000-8000-000000000000",
    "HP16015479281022",
    "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}",
    "test-42",
    "user_undefined_42",
    "nullable-curso",
    "none-shall-pass",
    "IwAR0abcDEF_ghi-123",
    "a1",
    "Contest",
]


@pytest.mark.parametrize("text", NO_IDS)
def test_a_placeholder_is_not_an_id(text: str) -> None:
    assert placeholders.is_no_id(text)
    assert identity.hashed("external_id", text) is None


@pytest.mark.parametrize("text", IDS)
def test_what_may_be_an_id_is_one(text: str) -> None:
    assert not placeholders.is_no_id(text)
    assert identity.hashed("external_id", text) is not None


@pytest.mark.parametrize("field", ["fn", "ln", "ct", "st"])
@pytest.mark.parametrize(
    "text",
    [
        *WORDS,
        "teste",
        "Test Test",
        "Não informado",
        "Não informado Não informado",
        "Seu nome",
        "NAO INFORMADO",
        "não-informada",
        "Sem nome",
        "xxx",
        "...",
        "0",
        "Fulano",
        "Cliente Teste",
        "{{first_name}}",
        "*|FNAME|*",
        "[[nome]]",
        "asdf",
    ],
)
def test_a_placeholder_is_nobodys_name_or_place(field: str, text: str) -> None:
    assert identity.hashed(field, text) is None


@pytest.mark.parametrize(
    ("field", "text", "normalised"),
    [
        ("fn", "Na", "na"),
        ("fn", "Nil", "nil"),
        ("ln", "Guest", "guest"),
        ("fn", "Nulvo", "nulvo"),
        ("ln", "Testa", "testa"),
        ("fn", "João null", "joão"),
        ("fn", "李", "李"),
        ("ct", "Nenhures", "nenhures"),
        ("st", "PA", "pa"),
        ("em", "comprador.teste@example.com", "comprador.teste@example.com"),
        ("em", "testemunha@gmail.com", "testemunha@gmail.com"),
        ("em", "a@gmail.com", "a@gmail.com"),
        ("em", "nullo@gmail.com", "nullo@gmail.com"),
        ("ph", "11 90000-0000", "5511900000000"),
        ("ph", "11 98888-8889", "5511988888889"),
        ("ph", "11 98765-4321", "5511987654321"),
        ("zp", "11111-112", "11111112"),
    ],
)
def test_a_datum_that_resembles_a_placeholder_counts(
    field: str, text: str, normalised: str
) -> None:
    assert identity.normalise(field, text) == normalised


@pytest.mark.parametrize(
    "address",
    [
        "test@test.com",
        "TESTE@gmail.com",
        "teste+7@gmail.com",
        "teste123@hotmail.com",
        "noemail@loja.com.br",
        "no-email@x.com",
        "sem.email@gmail.com",
        "naotem@naotem.com.br",
        "maria@teste.com.br",
        "null@null.com",
        "undefined@undefined.com",
        "xxx@xxx.com",
        "a@a.com",
        "aaaa@gmail.com",
        "noreply@loja.com",
        "{{email}}@x.com",
    ],
)
def test_an_address_for_no_address_is_not_hashed(address: str) -> None:
    assert identity.hashed("em", address) is None


@pytest.mark.parametrize(
    "number",
    [
        "11 99999-9999",
        "(21) 98888-8888",
        "+55 11 99999 9999",
        "00000000",
        "00000000000",
        "1111111111",
    ],
)
def test_a_row_of_digits_is_not_a_phone(number: str) -> None:
    assert identity.hashed("ph", number) is None


@pytest.mark.parametrize(
    "number", ["12345678901", "12345678910", "(12) 3456-7890", "98765432100", "+1 234 567 8901"]
)
def test_digits_in_their_order_are_not_a_phone(number: str) -> None:
    assert identity.hashed("ph", number) is None


def test_a_row_of_digits_is_not_a_postal_code() -> None:
    assert [identity.hashed("zp", text) for text in ("00000-000", "99999-999")] == [None, None]


@pytest.mark.parametrize("word", ["", "null", "undefined", "n/a"])
def test_the_digest_of_nothing_is_nothing(word: str) -> None:
    assert identity.hashed("em", hashlib.sha256(word.encode()).hexdigest().upper()) is None


def test_a_full_name_is_looked_at_whole_and_in_parts() -> None:
    def names(first_name: str = "", last_name: str = "", full_name: str = "") -> tuple[int, int]:
        clear = identity.ClearUser(first_name=first_name, last_name=last_name, full_name=full_name)
        user = identity.hash_user(clear)
        return len(user.fn), len(user.ln)

    assert (
        names(full_name="Não informado") == names(first_name="Não", last_name="Informado") == (0, 0)
    )
    assert names(full_name="undefined undefined") == names(full_name="teste") == (0, 0)
    assert (
        names(full_name="Maria undefined") == names(first_name="Maria", last_name="null") == (1, 0)
    )
    assert names(first_name="undefined", full_name="Maria Silva") == (1, 1)


@pytest.mark.parametrize("part", ["undefined", "null", "0", "test", "0000000000", "__FBCLID__"])
def test_metas_ids_made_of_nothing_are_dropped(part: str) -> None:
    fbc = f"fb.1.1796065969736.{part}"
    assert not identity.is_fbc(fbc)
    assert identity.fbclid_of_fbc(fbc) is None
    assert identity.usable_fbc(fbc, 1_796_065_970_000) is None
    assert identity.build_fbc(part, 1_796_065_969_736) is None
    assert (
        identity.fbclid_of_url(f"https://loja.example/?fbclid={part}&fbclid=IwAR0abcDEF")
        == "IwAR0abcDEF"
    )


def test_a_browser_id_without_its_number_is_dropped() -> None:
    assert [
        identity.is_fbp(f"fb.1.1796065969736.{n}")
        for n in ("0", "0000000000", "99999999", "1098115397")
    ] == [
        False,
        False,
        False,
        True,
    ]


def test_macros_and_words_are_not_a_campaign() -> None:
    url = (
        "https://loja.example/?utm_source=%7B%7Bsite_source_name%7D%7D&utm_source=fb&utm_medium=undefined"
        "&utm_campaign={{campaign.name}}%7C{{campaign.id}}&utm_content=(not%20set)&utm_term=teste"
    )
    assert identity.utm_of_url(url) == Utm(source="fb", term="teste")
    assert not placeholders.is_no_campaign("curso_{{ad.id}}")


PAGE = "/api/v1/track/pageview"
BROWSER = {
    "origin": LANDING,
    "user-agent": "Mozilla/5.0 (iPhone)",
    "content-type": "text/plain;charset=UTF-8",
}


async def test_tracking_doors_take_no_placeholder_for_an_id(edge_world: EdgeWorld) -> None:
    said = {
        "funnel": PUBLIC_KEY,
        "event_id": "undefined",
        "external_id": "undefined",
        "click_id": "[object Object]",
        "session_id": "null",
        "order_id": "NaN",
        "fbclid": "undefined",
        "fbc": "fb.1.1796065969736.undefined",
        "fbp": "fb.1.1796065969736.0",
        "utm": {"source": "null", "campaign": "{{campaign.name}}"},
        "user": {
            "first_name": "undefined",
            "email": "teste@teste.com",
            "phone": "11999999999",
            "city": "São Paulo",
        },
    }
    for _ in range(2):
        reply = await edge_world.client().post(PAGE, said, headers=BROWSER)
        assert reply.status == 202, reply.body
    events = edge_world.bus.events
    assert len({event.event_id for event in events}) == 2, (
        "two visits of strangers are not one event"
    )
    for event in events:
        assert [
            event.external_id,
            event.click_id,
            event.order_id,
            event.fbclid,
            event.fbc,
            event.fbp,
        ] == [None] * 6
        assert event.session_id not in (None, "null")
        assert event.utm == Utm()
        assert (event.user.fn, event.user.em, event.user.ph, len(event.user.ct)) == ([], [], [], 1)


def test_external_id_undefined_of_a_gateway_joins_nobody() -> None:
    order = {
        "event": "order.paid",
        "order": {
            "id": "cp-1",
            "payment": {
                "actual_price_paid": "97.00",
                "actual_price_paid_currency": "BRL",
                "payment_type": "pix",
            },
            "customer": {"email": "outra@example.com", "full_name": "Outra Pessoa"},
            "created_at": "2026-11-30T09:13:20Z",
            "line_items": [{"product_id": 1, "quantity": 1, "price": "97.00"}],
            "tracking_parameters": [
                {"parameter_name": "external_id", "parameter_value": "undefined"}
            ],
        },
    }
    (sale,) = checked(cartpanda.parse(json.dumps(order).encode()))
    assert sale.tracking.external_id is None
    assert sale.order_id == "cp-1"


def test_sales_of_every_adapter_lose_their_placeholders() -> None:
    ids = ("click_id", "session_id", "external_id", "fbclid", "fbc", "fbp")
    tracking = Tracking(
        **dict.fromkeys(ids, "undefined"),
        utm_source="{{ad.name}}",
        utm_medium="cpc",
        src="undefined",
        sck="teste",
    )
    sale = Sale(
        gateway="own",
        event="paid",
        event_key="own:1",
        status="approved",
        order_id="null",
        parent_order_id="0",
        occurred_at="2026-11-30T09:13:20Z",
        products=[Product(id="undefined", name="Curso"), Product(id="7")],
        tracking=tracking,
    )
    (found,) = checked([sale])
    assert [getattr(found.tracking, name) for name in ids] == [None] * len(ids)
    assert (found.tracking.utm_source, found.tracking.utm_medium) == (None, "cpc")
    assert (found.tracking.src, found.tracking.sck) == ("undefined", "teste"), (
        "slots are kept as they came"
    )
    assert (found.order_id, found.parent_order_id) == (None, None)
    assert [(product.id, product.name) for product in found.products] == [
        (None, "Curso"),
        ("7", None),
    ]


@pytest.mark.parametrize("nothing", ["undefined", "0", "null"])
def test_two_buyers_without_an_order_are_not_one(nothing: str) -> None:
    def told(name: str, at: str = "2026-11-30 09:13:20") -> Sale:
        order = {
            "event": "SALE_APPROVED",
            "sale_id": nothing,
            "total_price": "R$ 97,00",
            "created_at": at,
        }
        (sale,) = checked(
            kirvano.parse(
                json.dumps(order | {"customer": {"email": f"{name}@loja.example"}}).encode()
            )
        )
        return sale

    first, again, other, later = (
        told("ana"),
        told("ana"),
        told("bia"),
        told("ana", "2026-11-30 10:00:00"),
    )
    assert first.order_id is None
    assert first.event_key == again.event_key, "a repeated delivery is the same fact"
    assert len({first.event_key, other.event_key, later.event_key}) == 3, (
        "the next buyer is not a repeat"
    )
    assert first.event_key.startswith("kirvano:")


def test_a_subscription_that_is_nobodys_joins_no_trial_with_a_stranger() -> None:
    def told(subscription: str) -> Sale:
        sale = Sale(
            gateway="own",
            event="trial",
            event_key="own:1",
            status="subscription_changed",
            order_id=None,
            occurred_at="2026-11-30T09:13:20Z",
            names=["undefined", "pi_1"],
            subscription_id=subscription,
            trial=True,
        )
        return checked([sale])[0]

    lost, kept = told("0"), told("sub_1")
    assert (lost.subscription_id, lost.trial, lost.names) == (
        msgspec.UNSET,
        msgspec.UNSET,
        ["pi_1"],
    )
    assert (kept.subscription_id, kept.trial) == ("sub_1", True)


def test_an_order_is_not_its_own_parent() -> None:
    sale = Sale(gateway="own", event="paid", event_key="own:1", status="approved", order_id="HP1",
                parent_order_id="HP1", occurred_at="2026-11-30T09:13:20Z")  # fmt: skip
    assert checked([sale])[0].parent_order_id is None


@pytest.mark.parametrize(
    "unit", ["{{", "%7b%7b", "%7b%7b%", "<%", "[[", "*|", "${", "__a", "[object ", "##a"]
)
def test_no_value_holds_the_edge_up(unit: str) -> None:
    """What is not a macro but begins like one again and again is gone through once: before, from
    each beginning.
    """
    assert not placeholders.is_no_campaign("x" + unit * (1_000_000 // len(unit)))
