"""Bodies as older senders and systems in between write them: other encodings, encoded twice,
escaped, nested.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _body, _xml, hotmart, kiwify, text

from tests.support.fix_ingest import SECRET, SERVER_KEY, TOKEN, EdgeWorld, SignedGateway

REPORTS = Path(__file__).parents[2] / "fixtures" / "reports"
ORDER = {"order_id": "o1", "webhook_event_type": "order_approved", "Commissions": {"charge_amount": 5073},
         "Customer": {"full_name": "João Conceição", "city": "São José"}}  # fmt: skip
FIELDS = {"hottok": "t", "prod": "1", "transaction": "HP1", "status": "approved", "price": "10.00",
          "name": "João Conceição", "address_city": "São José", "email": "joao@example.com"}  # fmt: skip
CLEAR = {"fn": "joão", "ln": "conceição", "ct": "sãojosé"}


def clear(gateway: Any, raw: bytes, *names: str) -> dict[str, str]:
    """Names and city, or what else is named, as they are hashed."""
    (sale,) = gateway.parse(raw, clear=True)
    return {key: value for key, value in sale.customer.clear.items() if key in (names or CLEAR)}


def test_form_in_latin_1() -> None:
    raw = (REPORTS / "form-in-latin-1" / "hotmart.approved.form.txt").read_bytes()
    assert clear(hotmart, raw, *CLEAR, "st") == CLEAR | {"st": "sp"}


FORM = urlencode(FIELDS)
DOUBLED = urlencode({name: quote_plus(value) for name, value in FIELDS.items()})
PARTS = "".join(
    f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    for name, value in FIELDS.items()
)
HTML = {
    name: value.replace("ã", "&atilde;").replace("ç", "&#231;").replace("é", "&#xE9;")
    for name, value in FIELDS.items()
}


@pytest.mark.parametrize(
    "raw",
    [
        FORM.encode(),
        urlencode(FIELDS, encoding="cp1252").encode(),
        "&".join(f"{name}={value}" for name, value in FIELDS.items())
        .replace(" ", "+")
        .encode("latin-1"),
        "&".join(f"{name}={value}" for name, value in FIELDS.items()).replace(" ", "+").encode(),
        b"\xef\xbb\xbf" + FORM.encode(),
        DOUBLED.encode(),
        urlencode(HTML).encode(),
        urlencode({name: value.replace("&", "&amp;") for name, value in HTML.items()}).encode(),
        urlencode(
            {name: value.encode().decode("latin-1") for name, value in FIELDS.items()}
        ).encode(),
        urlencode(
            {name: value.encode().decode("cp1252", "replace") for name, value in FIELDS.items()}
        ).encode(),
        f"{PARTS}--x--\r\n".encode("cp1252"),
        f"{PARTS}--x--\r\n".encode(),
        urlencode({"payload": json.dumps(FIELDS)}).encode(),
        urlencode({"json": json.dumps(FIELDS).replace('"', "&quot;")}).encode(),
        quote(json.dumps(FIELDS, ensure_ascii=False)).encode(),
        (quote_plus(json.dumps(FIELDS)) + "=").encode(),
        json.dumps(json.dumps(FIELDS)).encode(),
        json.dumps(FIELDS).replace('"', '\\"').encode(),
        urlencode({"data": json.dumps(FIELDS).replace('"', '\\"')}).encode(),
        json.dumps(FORM).encode(),
    ],
    ids=range(20),
)
def test_a_form_is_read_as_it_was_meant(raw: bytes) -> None:
    assert clear(hotmart, raw) == CLEAR


JSON = json.dumps(ORDER, ensure_ascii=False)


@pytest.mark.parametrize(
    "raw",
    [
        JSON.encode(),
        json.dumps(ORDER).encode(),
        JSON.encode("latin-1"),
        JSON.encode("utf-8-sig"),
        JSON.encode("utf-16"),
        JSON.encode("utf-16-le"),
        JSON.encode("utf-16-be"),
        JSON.encode().decode("latin-1").encode(),
        JSON.encode().decode("latin-1").encode().decode("latin-1").encode(),
        json.dumps(json.loads(JSON.encode().decode("latin-1"))).encode(),
        json.dumps(JSON).encode(),
        json.dumps(JSON, ensure_ascii=False).encode("latin-1"),
        JSON.replace("ã", "&atilde;").encode(),
        json.dumps({**ORDER, "Customer": json.dumps(ORDER["Customer"])}).encode(),
        JSON.replace("João", "Jo%C3%A3o")
        .replace("Conceição", "Concei%E7%E3o")
        .replace("Jo%C3%A3o C", "João C")
        .encode(),
    ],
    ids=range(15),
)
def test_json_is_read_as_it_was_meant(raw: bytes) -> None:
    found = clear(kiwify, raw)
    assert found["ct"] == CLEAR["ct"] and found["fn"] == CLEAR["fn"]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "windows-1252", "utf-16"])
@pytest.mark.parametrize("declared", [True, False])
def test_xml_is_read_in_its_encoding_told_or_not(encoding: str, declared: bool) -> None:
    head = f'<?xml version="1.0" encoding="{encoding}"?>' if declared else ""
    raw = f"{head}<transaction><name>João &amp; Cia</name></transaction>".encode(encoding)
    assert _xml.load(raw)[1].text("name") == "João & Cia"


def test_xml_that_lies_of_its_encoding_is_read_all_the_same() -> None:
    for encoding, told in (("cp1252", "UTF-8"), ("utf-8", "ISO-8859-1"), ("cp1252", "klingon")):
        raw = f'<?xml version="1.0" encoding="{told}"?><t><n>João</n></t>'.encode(encoding)
        assert _xml.load(raw)[1].text("n") == "João"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("JoÃ£o", "João"), ("SÃ£o JosÃ©", "São José"), ("Ã\x81lvaro", "Álvaro"), ("JOSÃ‰", "JOSÉ"),
        ("ConceiÃ§Ã£o da João", "Conceição da João"), ("JoÃƒÂ£o", "João"), ("Jo&amp;atilde;o", "João"),
        ("Silva &amp; Filhos", "Silva & Filhos"), ("\ufeffAna", "Ana"), ("joao%40example.com", "joao@example.com"),
        ("a+b%40example.com", "a+b@example.com"), ("Jo%25C3%25A3o+da+Silva", "João da Silva"),
        ("D&#39;Ávila", "D'Ávila"), ("ANTÃ“NIO", "ANTÓNIO"), ("ANTÃ”NIO", "ANTÔNIO"),
        ("Curso â€“ 1ÂªediÃ§Ã£o", "Curso – 1ªedição"),
        ("ðŸ˜€ oi", "😀 oi"), ("PaweÅ‚", "Paweł"),
    ],
)  # fmt: skip
def test_what_a_system_in_between_did_is_undone(written: str, meant: str) -> None:
    assert text.mended(written) == meant


@pytest.mark.parametrize(
    "written",
    ["João", "JOÃO", "ANTÔNIO", "Ângela", "Â", "10%", "50% off", "AT&T", "M&M; x", "https://a.example/?a=1&copy=2&b=%20c",
     "Señor Ñandú", "Þór Æsir", "Łukasz", "李雷", "R$ 10,00", "&unknown;", "100%aa bb",
     "«AMANHÃ»", "“CURSO DE PÃO”", "“AMANHÃ”", "JOSÉ’S", "CAFÉ™", "«CAFÉ»", "você’…", "AVÓ – 1ª edição", "R$ 10 (É…)"],
)  # fmt: skip
def test_what_is_as_it_was_meant_stays(written: str) -> None:
    assert text.mended(written) == written


@given(st.text(alphabet="áàâãéêíóôõúüçÁÀÂÃÉÊÍÓÔÕÚÜÇ abcXYZ'-", min_size=1))
def test_no_portuguese_text_is_changed_and_each_is_found_again(name: str) -> None:
    assert text.mended(name) == name
    assert text.mended(name.encode().decode("latin-1")) == name
    assert text.decode(name.encode("cp1252")) in (
        name,
        name.encode("cp1252").decode("utf-8", "replace"),
    )


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    for body in (
        raw,
        b"{" + raw,
        b'"' + raw + b'"',
        b"a=" + raw,
        b"%7B" + raw,
        b"\xff\xfe" + raw,
        b"\0{" + raw,
    ):
        with contextlib.suppress(NotThisGateway):
            _body.load(body).text("a")
    text.transcoded(raw, "text/plain; charset=iso-8859-15")


def test_a_field_that_lost_a_character_is_left_out_and_never_hashed() -> None:
    for name in ("Jo\ufffdo", "Jo?o", "JoÃ\ufffdo"):
        assert identity.normalise("fn", name) is None
    raw = json.dumps(
        {**ORDER, "Customer": {"full_name": "Jo\ufffdo Conceição", "city": "S?o Jos?"}}
    ).encode()
    assert clear(kiwify, raw) == {"ln": "conceição"}


@pytest.mark.parametrize(
    ("content_type", "encoding", "form"),
    [
        ("application/json; charset=ISO-8859-15", "iso-8859-15", False),
        ('application/json; charset="iso-8859-1"', "latin-1", False),
        ("application/json; charset=utf-16", "utf-16", False),
        ("application/json;charset=macintosh", "mac_roman", False),
        ("application/json; charset=latin1", "utf-8", False),  # said, and not so
        ("application/json; charset=rot13", "utf-8", False),
        ("application/x-www-form-urlencoded; charset=cp850", "cp850", True),
        ("application/x-www-form-urlencoded; charset=ISO-8859-1", "utf-8", True),
        ("application/x-www-form-urlencoded; charset=ISO-8859-1", "latin-1", True),
    ],
)
async def test_the_charset_of_the_content_type_is_honoured(
    edge_world: EdgeWorld, content_type: str, encoding: str, form: bool
) -> None:
    seen: list[str | None] = []

    class Reads(SignedGateway):
        def parse(self, raw: bytes, **_: Any) -> list[Any]:
            seen.append(_body.load(raw).text("name"))
            return []

    edge_world.gateways["signed"] = Reads()
    raw = (
        urlencode({"name": "João Conceição"}, encoding=encoding).encode()
        if form
        else json.dumps({"name": "João Conceição"}, ensure_ascii=False).encode(encoding)
    )
    headers = {"x-signature": SECRET, "content-type": content_type}
    assert (
        await edge_world.client().post(f"/api/v1/webhooks/signed/{TOKEN}", raw, headers=headers)
    ).status == 202
    assert seen == ["João Conceição"]


async def test_a_server_s_event_in_latin_1_is_read(edge_world: EdgeWorld) -> None:
    event = {"funnel": "curso", "url": "https://curso.example/", "user": {"first_name": "João"}}
    raw = json.dumps(event, ensure_ascii=False).encode("latin-1")
    headers = {
        "authorization": f"Bearer {SERVER_KEY}",
        "content-type": "application/json; charset=ISO-8859-1",
    }
    assert (
        await edge_world.client().post("/t/loja/api/v1/track/lead", raw, headers=headers)
    ).status == 202
    assert edge_world.bus.events[0].user.fn == [identity.hashed("fn", "João")]
