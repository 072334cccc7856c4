"""The digests that Meta's customer information page prints, and the spellings that must lead to
them.
"""

from __future__ import annotations

import hashlib

import pytest

from sinal_hub import identity

DOCUMENTED = [
    (
        "em",
        "John_Smith@gmail.com",
        "BR",
        "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    ),
    (
        "ph",
        "(650)555-1212",
        "US",
        "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
    ),
    ("fn", "Mary", "BR", "6915771be1c5aa0c886870b6951b03d7eafc121fea0e80a5ea83beb7c449f4ec"),
    ("fn", "정", "BR", "8fa8cd9c440be61d0151429310034083132b35975c4bea67fdd74158eb51db14"),
    ("fn", "Valéry", "BR", "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c"),
    ("db", "2/16/1997", "US", "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c"),
    ("country", "US", "BR", "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621"),
]

# Inputs on which published senders and SDKs differ, with what the page asks for.
SPELLINGS = [
    ("em", "  aBc@gmail.com ", "abc@gmail.com"),
    ("ph", "+55 (11) 99999-8888", "5511999998888"),
    ("ph", "(11) 99999-8888", "5511999998888"),
    ("ph", "+55 11 9 9999.8888", "5511999998888"),
    ("fn", "valéry", "valéry"),
    ("fn", "joão", "joão"),
    ("ct", "São Paulo", "sãopaulo"),
    ("zp", "01310-100", "01310100"),
    ("fn", "Maria-José", "mariajosé"),
    ("fn", "Ana Maria", "ana maria"),
    ("ln", "O'Brien", "obrien"),
    ("ln", "da Silva", "da silva"),
    ("st", "São Paulo", "sp"),
    ("ge", "male", "m"),
    ("ge", "masculino", "m"),
    ("db", "1997-02-16", "19970216"),
    ("country", "United States", "us"),
    ("country", "USA", "us"),
]


@pytest.mark.parametrize(("field", "value", "country", "sha256"), DOCUMENTED)
def test_documented_example_has_its_documented_digest(
    field: str, value: str, country: str, sha256: str
) -> None:
    assert identity.hashed(field, value, country=country) == sha256


@pytest.mark.parametrize(("field", "value", "normalised"), SPELLINGS)
def test_spelling_is_normalised_as_the_page_asks_and_hashed_as_utf8(
    field: str, value: str, normalised: str
) -> None:
    assert identity.normalise(field, value) == normalised
    assert identity.hashed(field, value) == hashlib.sha256(normalised.encode("utf-8")).hexdigest()


def test_documented_number_is_recognised_without_plus_for_a_brazilian_tenant() -> None:
    assert identity.normalise("ph", "16505551212") == "16505551212"


@pytest.mark.parametrize("field", identity.FIELDS)
def test_value_hashed_before_goes_through_in_lower_case(field: str) -> None:
    before = hashlib.sha256(b"somebody").hexdigest()
    assert identity.normalise(field, f" {before.upper()}\n") == before
    assert identity.hashed(field, before.upper()) == before


@pytest.mark.parametrize("field", [f for f in identity.FIELDS if f != "external_id"])
def test_md5_is_not_passed_off_as_sha256(field: str) -> None:
    assert identity.hashed(field, "d41d8cd98f00b204e9800998ecf8427e") is None


def test_external_id_that_is_a_uuid_is_hashed_and_not_taken_for_an_md5() -> None:
    uuid = "3F2504E04F8941D39A0C0305E82C3301"
    assert identity.hashed("external_id", uuid) == hashlib.sha256(uuid.lower().encode()).hexdigest()


@pytest.mark.parametrize(
    "blank", ["", " ", "\t\r\n", "\u00a0", "\u200b", "\ufeff", "\u3000", "-", "--", "…"]
)
@pytest.mark.parametrize("field", [f for f in identity.FIELDS if f != "external_id"])
def test_blank_is_never_hashed(field: str, blank: str) -> None:
    assert identity.hashed(field, blank) is None


@pytest.mark.parametrize(
    ("long", "short", "value"),
    [
        ("email", "em", "a@example.com"),
        ("phone", "ph", "11 99999-8888"),
        ("first_name", "fn", "João"),
        ("last_name", "ln", "Souza"),
        ("city", "ct", "Belém"),
        ("state", "st", "Pará"),
        ("zip", "zp", "66010-000"),
    ],
)
def test_long_field_names_mean_the_short_ones(long: str, short: str, value: str) -> None:
    assert identity.normalise(long, value) == identity.normalise(short, value) is not None


def test_unknown_field_is_named_with_the_known_ones() -> None:
    with pytest.raises(identity.UnknownField, match=r"'cpf'.*em, ph") as caught:
        identity.normalise("cpf", "123")
    assert isinstance(caught.value, KeyError)
    assert caught.value.field == "cpf"
