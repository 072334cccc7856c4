"""Cities, states, postal codes and countries: one place, one value."""

from __future__ import annotations

import pycountry
import pytest

from sinal_hub.identity import normalise
from sinal_hub.identity.countries import rows


@pytest.mark.parametrize(
    ("written", "city"),
    [
        ("São Paulo", "sãopaulo"),
        ("SÃO PAULO", "sãopaulo"),
        ("Sa\u0303o Paulo", "sãopaulo"),
        ("Sao Paulo", "saopaulo"),
        ("São Paulo - SP", "sãopaulo"),
        ("Campinas/SP", "campinas"),
        ("Campinas (SP)", "campinas"),
        ("Embu-Guaçu", "embuguaçu"),
        ("Mogi-Mirim", "mogimirim"),
        ("Santa Bárbara d'Oeste", "santabárbaradoeste"),
        ("Santa Bárbara d’Oeste", "santabárbaradoeste"),
        ("St. Louis", "stlouis"),
        ("東京", "東京"),
        ("123", None),
        ("—", None),
    ],
)
def test_city_is_lower_case_letters(written: str, city: str | None) -> None:
    assert normalise("ct", written) == city


@pytest.mark.parametrize(
    ("written", "country", "state"),
    [
        ("SP", "BR", "sp"),
        ("sp", "BR", "sp"),
        ("São Paulo", "BR", "sp"),
        ("SAO PAULO", "BR", "sp"),
        ("BR-SP", "BR", "sp"),
        ("São Paulo (SP)", "BR", "sp"),
        ("São Paulo - SP", "BR", "sp"),
        ("Estado de São Paulo", "BR", "sp"),
        ("Estado de Minas Gerais", "BR", "mg"),
        ("Estado do Rio de Janeiro", "BR", "rj"),
        ("Estado da Bahia", "BR", "ba"),
        ("Mato Grosso", "BR", "mt"),
        ("Mato Grosso do Sul", "BR", "ms"),
        ("Rio Grande do Norte", "BR", "rn"),
        ("Distrito Federal", "BR", "df"),
        ("Pará", "BR", "pa"),
        ("Paraná", "BR", "pr"),
        ("Paraíba", "BR", "pb"),
        ("California", "US", "ca"),
        ("CA", "US", "ca"),
        ("US-CA", "US", "ca"),
        ("New York", "US", "ny"),
        ("Kansas", "US", "ks"),
        ("Arkansas", "US", "ar"),
        ("West Virginia", "US", "wv"),
        ("Washington, D.C.", "US", "dc"),
        ("D.C.", "US", "dc"),
        ("Île-de-France", "FR", "îledefrance"),
        ("Lisboa", "PT", "lisboa"),
        ("35", "BR", None),
    ],
)
def test_state_is_a_code_in_brazil_and_the_us_and_letters_elsewhere(
    written: str, country: str, state: str | None
) -> None:
    assert normalise("st", written, country=country) == state


def test_every_brazilian_state_and_its_iso_code_give_the_two_letter_code() -> None:
    states = [s for s in pycountry.subdivisions if s.country_code == "BR"]
    assert len(states) == 27
    for state in states:
        code = state.code.removeprefix("BR-").lower()
        assert {
            normalise("st", state.name),
            normalise("st", state.code),
            normalise("st", code),
        } == {code}


def test_every_us_state_and_its_iso_code_give_the_two_letter_code() -> None:
    states = [
        s
        for s in pycountry.subdivisions
        if s.country_code == "US" and s.type in ("State", "District")
    ]
    assert len(states) == 51
    for state in states:
        code = state.code.removeprefix("US-").lower()
        assert {normalise("st", text, country="US") for text in (state.name, state.code, code)} == {
            code
        }


@pytest.mark.parametrize(
    ("written", "country", "code"),
    [
        ("01310-100", "BR", "01310100"),
        ("01310100", "BR", "01310100"),
        ("01.310-100", "BR", "01310100"),
        (" 01310 100 ", "BR", "01310100"),
        ("CEP: 01310-100", "BR", "01310100"),
        ("０１３１０－１００", "BR", "01310100"),
        ("1310100", "BR", "01310100"),
        ("1310-100", "BR", "01310100"),
        ("01310", "BR", None),
        ("013101000", "BR", None),
        ("M1 1AE", "BR", "m11ae"),  # a foreign buyer whose country nobody told
        ("94035", "US", "94035"),
        ("94035-1234", "US", "94035"),
        ("940351234", "US", "94035"),
        ("2139", "US", "02139"),
        ("940", "US", None),
        ("M1 1AE", "GB", "m11ae"),
        ("1000-001", "PT", "1000001"),
        ("K1A 0B1", "CA", "k1a0b1"),
        ("N/A", "BR", None),
        ("N/A", "GB", None),
    ],
)
def test_postal_code_has_one_form_per_country(written: str, country: str, code: str | None) -> None:
    assert normalise("zp", written, country=country) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("Brasil", "br"),
        ("BRAZIL", "br"),
        ("br", "br"),
        ("BRA", "br"),
        ("República Federativa do Brasil", "br"),
        ("Estados Unidos", "us"),
        ("EUA", "us"),
        ("E.U.A.", "us"),
        ("U.S.", "us"),
        ("U.S.A.", "us"),
        ("EE. UU.", "us"),
        ("United States of America", "us"),
        ("UK", "gb"),
        ("GB", "gb"),
        ("Inglaterra", "gb"),
        ("Reino Unido", "gb"),
        ("Alemanha", "de"),
        ("Alemania", "de"),
        ("Germany", "de"),
        ("España", "es"),
        ("Espanha", "es"),
        ("Japão", "jp"),
        ("Coreia do Sul", "kr"),
        ("Holanda", "nl"),
        ("Países Baixos", "nl"),
        ("Costa do Marfim", "ci"),
        ("Bolívia", "bo"),
        ("Moçambique", "mz"),
        ("Cabo Verde", "cv"),
        ("Suíça", "ch"),
        ("Paraguay", "py"),
        ("Paraguai", "py"),
        ("xx", None),
        ("Atlantis", None),
        ("55", None),
    ],
)
def test_country_is_iso_alpha2_of_code_or_name(written: str, code: str | None) -> None:
    assert normalise("country", written) == code


def test_every_country_of_iso_3166_is_known_by_codes_and_english_name() -> None:
    for country in pycountry.countries:
        expected = country.alpha_2.lower()
        assert normalise("country", country.alpha_2) == expected
        assert normalise("country", country.alpha_3) == expected
        assert normalise("country", country.name) == expected


def test_table_of_countries_holds_those_of_iso_3166_and_no_other() -> None:
    assert [code for code, _, _ in rows()] == sorted(
        country.alpha_2.lower() for country in pycountry.countries
    )


def test_no_name_of_a_country_leads_to_another() -> None:
    for code, longer, names in rows():
        assert {normalise("country", word) for word in (code, longer, *names)} == {code}, code
