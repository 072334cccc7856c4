"""Attack on privacy: what a page's URL says of a person, under whatever name, is neither stored,
sent nor logged.

Before: two lists differed, so `?surname=`, `username`, `buyername` and `customername` were stored
in clear.
"""

from __future__ import annotations

import io
import json
import logging
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from sinal_core.telemetry import logs, personal
from sinal_hub.intake import urls
from sinal_hub.meta.payload import clean_url

BASE = "https://curso.example/obrigado"
# The union of what the two lists knew, and their siblings in other spellings.
NAMES = """
    email e-mail mail user_email utm_email checkout[email] buyerEmail email_confirm phone telefone celular cel tel fone
    whats whatsapp mobile phone_number phonenumber phoneac phone2 telefone2 telefone_completo cpf cnpj rg document
    documento doc nome name full full_name fullname surname sobrenome username user_name userName buyername buyer_name
    customername customerName customer[name] first_name first-name firstname last_name lastName nome_completo zip
    zip_code cep address endereco birth birthday birthdate nascimento password senha token access_token
    cliente_nome comprador_email lead_phone
""".split()  # noqa: SIM905 - a list to read
CAMPAIGN = """
    fbclid gclid ttclid utm_source utm_medium utm_campaign utm_content utm_term utm_id campaign_name campaign_id ad_name
    ad_id adset_name product_name sck src xcod plan offer_name
""".split()  # noqa: SIM905 - a list to read

names = st.sampled_from(NAMES)
spellings = st.sampled_from(["{}", "form_{}", "data[{}]", "FORM.{}", "lead-{}"])


@given(
    name=names,
    spelling=spellings,
    upper=st.booleans(),
    before=st.sampled_from(["", "utm_source=fb&", "a=1&"]),
)
def test_edge_and_dispatch_drop_the_same_parameters(
    name: str, spelling: str, upper: bool, before: str
) -> None:
    parameter = spelling.format(name.upper() if upper else name)
    url = f"{BASE}?{before}{quote(parameter)}=Silva"
    kept = f"{BASE}?{before.rstrip('&')}".rstrip("?")
    assert urls.scrub(url) == kept
    assert clean_url(url) == kept


@pytest.mark.parametrize("name", CAMPAIGN)
def test_campaigns_and_click_ids_stay(name: str) -> None:
    url = f"{BASE}?{name}=Nov"
    assert urls.scrub(url) == clean_url(url) == url


@given(st.text(max_size=40), st.text(max_size=40))
def test_what_the_edge_lets_through_dispatch_sends(name: str, value: str) -> None:
    """Nothing is stored that would be thought too personal for Meta, and the reverse."""
    url = f"{BASE}?{quote(name)}={quote(value)}"
    assert clean_url(urls.scrub(url)) == urls.scrub(url)


def test_a_name_run_together_is_as_personal_as_one_in_words() -> None:
    for name in NAMES:
        assert personal.is_personal(name, "Silva"), name
    for name in CAMPAIGN:
        assert not personal.is_personal(name, "Nov"), name


@pytest.mark.parametrize(
    "key", ["surname", "buyer_name", "customer_name", "user_name", "celular", "rg", "nascimento"]
)
def test_logs_mask_values_under_such_names(key: str) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logs.configure(level="info", json=True, stream=stream)
        structlog.get_logger().info("probe", **{key: "Silva"})
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()
    assert json.loads(stream.getvalue())[key] == logs.MASK
