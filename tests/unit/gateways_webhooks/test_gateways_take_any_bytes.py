"""Nothing a sender can put into a body makes a gateway raise anything but NotThisGateway, or leak a
person's data.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sinal_hub.gateways import NotThisGateway, registry
from sinal_hub.model.events import meta_event_id
from sinal_hub.model.readback import ReadsBack
from sinal_hub.model.sale import Sale, Status

ROOT = Path(__file__).parents[2] / "fixtures" / "gateways"
FILES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.json"))
FORMS = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.form.txt"))
TREES = {name: json.loads((ROOT / name).read_text()) for name in FILES}
STATUSES = set(get_args(Status))
MONEY = re.compile(r"\d+(\.\d{2,3})?")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
UNSIGNED = {"appmax", "kirvano", "syncpay", "cartpanda"}
KEY = re.compile(r"[a-z]+(:[A-Za-z0-9_.-]+)+")

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
slow = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def parse(gateway: str, raw: bytes) -> list[Sale]:
    """The sales, or none for a body that is refused as it should be.

    Anything else raised fails the test.
    """
    try:
        sales = registry()[gateway].parse(raw)
    except NotThisGateway as refusal:
        assert str(refusal)
        return []
    for one in sales:
        assert_well_formed(one)
    return sales


def assert_well_formed(one: Sale) -> None:
    assert one.status in STATUSES
    assert KEY.fullmatch(one.event_key) and len(one.event_key) <= 400
    assert MOMENT.fullmatch(one.occurred_at)
    for amount in (one.value, *(product.value for product in one.products)):
        assert amount is None or MONEY.fullmatch(amount)
    assert "\x00" not in msgspec.json.encode(one).decode()
    meta_event_id("tenant", one.order_id or "", "Purchase", one.value, one.currency)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every field of a tree."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, below in items:
        yield (*path, key)
        yield from places(below, (*path, key))


def owner(tree: Any, path: tuple[Any, ...]) -> Any:
    for key in path[:-1]:
        tree = tree[key]
    return tree


@st.composite
def mutilated(draw: st.DrawFn) -> tuple[str, Any]:
    """A captured delivery in which some fields are gone, of another type, or new."""
    name = draw(st.sampled_from(FILES))
    tree = copy.deepcopy(TREES[name])
    for _ in range(draw(st.integers(1, 6))):
        path = draw(st.sampled_from(list(places(tree)) or [("x",)]))
        holder, key = owner(tree, path), path[-1]
        match draw(st.sampled_from(["drop", "junk", "text", "empty list", "new"])):
            case "drop" if isinstance(holder, dict):
                holder.pop(key, None)
            case "junk":
                holder[key] = draw(junk)
            case "text":
                holder[key] = str(holder[key]) if key in holder or isinstance(holder, list) else "x"
            case "empty list":
                holder[key] = []
            case _ if isinstance(holder, dict):
                holder[draw(st.text(max_size=10))] = draw(junk)
    return name, tree


@given(mutilated())
@slow
def test_missing_changed_and_new_fields(delivery: tuple[str, Any]) -> None:
    name, tree = delivery
    parse(name.partition("/")[0], json.dumps(tree).encode())


@given(st.sampled_from(FILES), st.data())
@slow
def test_a_new_field_changes_nothing(name: str, data: st.DataObject) -> None:
    tree = copy.deepcopy(TREES[name])
    gateway = name.partition("/")[0]
    objects = [(), *(path for path in places(tree) if isinstance(owner(tree, (*path, None)), dict))]
    holder = owner(tree, (*data.draw(st.sampled_from(objects)), None))
    before = registry()[gateway].parse(json.dumps(tree).encode(), now=0.0)  # type: ignore[call-arg]
    holder["x_new_field"] = data.draw(junk)
    assert registry()[gateway].parse(json.dumps(tree).encode(), now=0.0) == before  # type: ignore[call-arg]


@pytest.mark.parametrize("name", FILES)
def test_numbers_as_text_mean_the_same(name: str) -> None:
    gateway = name.partition("/")[0]

    def texts(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: texts(below) for key, below in value.items()}
        if isinstance(value, list):
            return [texts(below) for below in value]
        return (
            str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        )

    (before,) = registry()[gateway].parse(json.dumps(TREES[name]).encode(), now=0.0)  # type: ignore[call-arg]
    (after,) = registry()[gateway].parse(json.dumps(texts(TREES[name])).encode(), now=0.0)  # type: ignore[call-arg]
    assert after == before


@pytest.mark.parametrize(
    ("written", "value"),
    [("1457.00", "1457.00"), ("1457,00", "1457.00"), ("1.457,00", "1457.00"), ("1,457.00", "1457.00"),
     ("97,9", "97.90"), (" 97,90 ", "97.90"), ("1.234.567,89", "1234567.89"), ("1,457", "1457.00"),
     ("1.45,00", None), ("1,457,00", None), ("97,", None), (",90", None), ("1,2,3", None), ("-5,00", None)],
)  # fmt: skip
def test_an_amount_with_a_comma_is_an_amount(written: str, value: str | None) -> None:
    payload = copy.deepcopy(TREES["monetizze/2_finalizada.shape_from_official_example.json"])
    payload["venda"]["valor"] = written
    assert [one.value for one in parse("monetizze", json.dumps(payload).encode())] == [value]


@given(
    st.sampled_from(sorted(registry())),
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode),
)
@slow
def test_arbitrary_bytes(gateway: str, raw: bytes) -> None:
    parse(gateway, raw)
    assert registry()[gateway].verify(raw, {}, {"signature": "00"}, {}) is (gateway in UNSIGNED)


@pytest.mark.parametrize(
    "gateway", sorted(name for name, one in registry().items() if isinstance(one, ReadsBack))
)
@given(
    raw=st.binary(max_size=200)
    | st.text(max_size=200).map(str.encode)
    | junk.map(json.dumps).map(str.encode)
)
@slow
def test_arbitrary_answers_and_notices_of_an_api(gateway: str, raw: bytes) -> None:
    module = registry()[gateway]
    assert isinstance(module, ReadsBack)
    call = module.readback(raw, {}, {"data.id": raw.decode("latin-1")})
    assert call is None or re.fullmatch(r"/[A-Za-z0-9/-]+", call.path)
    try:
        sales = module.parse_readback(raw)
    except NotThisGateway:
        return
    for one in sales:
        assert_well_formed(one)


@given(
    st.sampled_from(sorted(registry())),
    st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=8),
)
@slow
def test_arbitrary_forms(gateway: str, fields: dict[str, str]) -> None:
    parse(gateway, urlencode(fields).encode())


def in_parts(fields: dict[str, str], boundary: str = "------------------------a1b2") -> bytes:
    """multipart/form-data as curl writes it."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
        for k, v in fields.items()
    ]
    return ("".join(parts) + f"--{boundary}--\r\n").encode()


@pytest.mark.parametrize("name", FORMS)
def test_a_form_in_parts_is_the_same_form(name: str) -> None:
    gateway, raw = registry()[name.partition("/")[0]], (ROOT / name).read_bytes()
    fields = dict(parse_qsl(raw.decode().strip(), keep_blank_values=True))
    assert len(fields) > 1
    assert gateway.parse(in_parts(fields), now=0.0) == gateway.parse(raw, now=0.0)  # type: ignore[call-arg]


def test_a_form_in_parts_is_proved_by_what_is_read() -> None:
    fields = {
        "chave_unica": "k" * 32,
        "tipoEvento[codigo]": "2",
        "venda[codigo]": "77",
        "venda[valor]": "97,00",
    }
    gateway, raw = registry()["monetizze"], in_parts(fields)
    assert gateway.verify(raw, {}, {}, {"chaveUnica": "k" * 32})
    assert not gateway.verify(raw, {}, {}, {"chaveUnica": "x" * 32})
    assert [(one.order_id, one.value) for one in parse("monetizze", raw)] == [("77", "97.00")]


@given(
    st.sampled_from(sorted(registry())),
    st.dictionaries(st.text(max_size=12), st.text(max_size=20), max_size=8),
)
@slow
def test_arbitrary_forms_in_parts(gateway: str, fields: dict[str, str]) -> None:
    parse(gateway, in_parts(fields))


HOSTILE = {
    "nesting": b'{"event":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "objects in objects": b'{"data":' * 50_000 + b"1" + b"}" * 50_000,
    "exponent": b'{"event":"PURCHASE_APPROVED","version":"2","data":{"purchase":{"transaction":1e999999}}}',
    "beyond decimal": b'{"event":"PURCHASE_APPROVED","data":{"purchase":{"transaction":1e99999999999999999999}}}',
    "long integer": b'{"code":' + b"9" * 6_000 + b',"sale_status_enum":2}',
    "long text": b'{"code":"' + b"9" * 500_000 + b'","sale_status_enum":2}',
    "zero with exponent": b'{"code":0e999999,"sale_status_enum":2,"sale_amount":0e9999}',
    "lone surrogate": b'{"code":"\\ud800","sale_status_enum":2}',
    "not utf-8": b'{"code":"\xff\xfe","sale_status_enum":2}',
    "many fields": b"&".join(b"a%d=1" % n for n in range(5_000)),
    "deep form": b"meta" + b"[a]" * 5_000 + b"=1&type=STATUS_ALTERADO&trans_key=1",
    "form that collides": b"meta=1&meta[src]=2&meta[src][x]=3&type=STATUS_ALTERADO&trans_key=1",
    "many parts": in_parts({f"a{n}": "1" for n in range(5_000)}),
    "parts without end": b"--\r\n" * 100_000,
    "one delimiter": b'--\r\n; name="status"\r\n\r\nx',
    "empty": b"",
    "null": b"null",
    "list": b'[{"event":"OrderApproved"}]',
    "byte-order mark": b"\xef\xbb\xbf{}",
}


@pytest.mark.parametrize("gateway", sorted(registry()))
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies(gateway: str, name: str) -> None:
    parse(gateway, HOSTILE[name])
    assert registry()[gateway].verify(HOSTILE[name], {}, {}, {}) is (gateway in UNSIGNED)


def test_an_identifier_too_long_to_be_one_is_refused_not_cut() -> None:
    with pytest.raises(NotThisGateway, match="code"):
        registry()["perfectpay"].parse(HOSTILE["long text"])


@given(st.text(min_size=1, max_size=60).filter(lambda text: text.strip() != ""))
@slow
def test_keys_fit_a_header_whatever_the_order_is_called(order: str) -> None:
    raw = json.dumps({"code": order, "sale_status_enum": 2}).encode()
    first, again = parse("perfectpay", raw), parse("perfectpay", raw)
    assert [one.event_key for one in first] == [one.event_key for one in again]


@pytest.mark.parametrize("name", FILES)
def test_a_repeated_delivery_has_the_same_key(name: str, body: Callable[[str], bytes]) -> None:
    gateway = registry()[name.partition("/")[0]]
    assert gateway.parse(body(name))[0].event_key == gateway.parse(body(name))[0].event_key


@pytest.mark.parametrize("other", sorted(registry()))
@pytest.mark.parametrize("name", [*FILES, *FORMS])
def test_no_gateway_takes_anothers_delivery(
    name: str, other: str, body: Callable[[str], bytes]
) -> None:
    if other == name.partition("/")[0]:
        assert len(registry()[other].parse(body(name))) == 1
    else:
        with pytest.raises(NotThisGateway):
            registry()[other].parse(body(name))


THINGS = {
    "product", "Product", "producer", "plan", "bundle", "bundles", "products", "plans", "produto", "plano", "items",
    "item", "offer", "Offer", "Products", "line_items", "refund_line_items", "note_attributes", "status", "payments",
}  # fmt: skip
PERSONAL = {
    "email": "maria.secreta@provedor.example", "name": "Maria Secretissima", "first_name": "Mariazinha",
    "last_name": "Secretissima", "full_name": "Maria Secretissima", "phone": "21987654321", "mobile": "+5521987654321",
    "checkout_phone": "21987654321", "telephone": "21987654321", "phone_number": "987654321", "document": "52998224725",
    "CPF": "52998224725", "cnpj": "11222333000181", "identification_number": "52998224725", "doc": "52998224725",
    "document_number": "52998224725", "street_name": "Rua Escondida", "address": "Rua Escondida", "city": "Petropolis",
    "zipcode": "25600123", "zip_code": "25600123", "postcode": "25600123", "firstname": "Mariazinha",
    "lastname": "Secretissima", "fullname": "Maria Secretissima", "client_name": "Maria Secretissima",
    "client_email": "maria.secreta@provedor.example", "client_cel": "55 21987654321", "client_documment": "52998224725",
    "nome": "Maria Secretissima", "telefone": "21987654321", "cidade": "Petropolis", "cep": "25600123",
    "cnpj_cpf": "52998224725", "payer_name": "Maria Secretissima", "payer_national_registration": "52998224725",
    "cus_name": "Maria Secretissima", "cus_email": "maria.secreta@provedor.example", "cus_cel": "21987654321",
    "cus_address_city": "Petropolis", "cus_address_zip_code": "25600123", "cellphone": "21987654321",
    "number": "987654321", "Email": "maria.secreta@provedor.example", "Name": "Maria Secretissima",
    "PhoneNumber": "+5521987654321", "Document": "52998224725", "zip": "25600123", "zipCode": "25600123",
    "generic_name": "Maria Secretissima", "formated_number": "21987654321", "full_number": "21987654321",
    "tax_id": "52998224725", "cpf": "52998224725", "contact_email": "maria.secreta@provedor.example",
    "client_zip_code": "25600123", "client_address_city": "Petropolis", "postal_code": "25600123",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_no_clear_personal_data_leaves_an_adapter(name: str) -> None:
    tree = copy.deepcopy(TREES[name])
    for path in list(places(tree)):
        holder, key = owner(tree, path), path[-1]
        is_a_person = THINGS.isdisjoint(path)
        if is_a_person and key in PERSONAL and not isinstance(holder[key], dict):
            holder[key] = PERSONAL[key]
    (found,) = registry()[name.partition("/")[0]].parse(json.dumps(tree).encode())
    shown = msgspec.json.encode(found).decode() + repr(found)
    for secret in (
        "secreta",
        "Secretissima",
        "Mariazinha",
        "987654321",
        "52998224725",
        "11222333",
        "Escondida",
    ):
        assert secret.lower() not in shown.lower()
    for secret in ("Petropolis", "25600123"):
        assert secret not in shown
    assert "clear" not in msgspec.to_builtins(found)["customer"]


@pytest.mark.parametrize("name", FILES)
def test_refusals_name_fields_and_no_values(name: str) -> None:
    values = {
        value
        for path in places(TREES[name])
        if isinstance(value := owner(TREES[name], path)[path[-1]], str)
    }
    for other in registry().values():
        try:
            other.parse(json.dumps(TREES[name]).encode())
        except NotThisGateway as refusal:
            said = str(refusal).replace("`", " ").split()
            assert not {value for value in values if len(value) > 5 and value in said} - {
                "version",
                "status",
            }
