"""Names, e-mail addresses, gender, birth dates, and a whole person hashed at once."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest

from sinal_hub.identity import ClearUser, digest, hash_user, normalise, normalise_user
from sinal_hub.model.events import UserData


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (" Maria.Silva+Curso@Gmail.COM ", "maria.silva+curso@gmail.com"),
        ("\ufeffmaria@example.com\u200b", "maria@example.com"),
        ("\u00a0maria@example.com\u00a0", "maria@example.com"),
        ("mailto:maria@example.com", "maria@example.com"),
        ("MAILTO:maria@example.com?subject=oi", "maria@example.com"),
        ("Maria Silva <maria@example.com>", "maria@example.com"),
        ("maria@example.com.", "maria@example.com"),
        ("maria@example.com;", "maria@example.com"),
        ("teste@teste.com", None),
        ("comprador@loja.test", "comprador@loja.test"),
        ("joão@exemplo.com.br", "joão@exemplo.com.br"),
        ("joa\u0303o@exemplo.com.br", "joão@exemplo.com.br"),
        ("maria@xn--bcher-kva.example", "maria@bücher.example"),
        ("maria", None),
        ("maria@", None),
        ("@example.com", None),
        ("maria@localhost", None),
        ("maria silva@example.com", None),
        ("maria@example..com", None),
        ("maria@@example.com", None),
        ("mar***@example.com", None),
    ],
)
def test_email_is_a_trimmed_lower_case_address(written: str, address: str | None) -> None:
    assert normalise("em", written) == address


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("MARIA", "maria"),
        ("  Ana   Maria ", "ana maria"),
        ("Ana\u00a0Maria", "ana maria"),
        ("José", "josé"),
        ("Jose\u0301", "josé"),
        ("D’Ávila", "dávila"),
        ("D\u02bcÁvila", "dávila"),
        ("Jr.", "jr"),
        ("Maria 🌸", "maria"),
        ("Łukasz", "łukasz"),
        ("123", None),
        (".", None),
        ("🌸", None),
        ("M**** S****", None),
    ],
)
@pytest.mark.parametrize("field", ["fn", "ln"])
def test_name_is_lower_case_without_punctuation_and_with_its_accents(
    field: str, written: str, name: str | None
) -> None:
    assert normalise(field, written) == name


@pytest.mark.parametrize(
    ("written", "gender"),
    [
        ("F", "f"),
        ("Feminino", "f"),
        ("female", "f"),
        ("Mulher", "f"),
        ("M", "m"),
        ("masculino", "m"),
        ("Male", "m"),
        ("Homem", "m"),
        ("outro", None),
        ("prefiro não dizer", None),
    ],
)
def test_gender_is_one_letter(written: str, gender: str | None) -> None:
    assert normalise("ge", written) == gender


@pytest.mark.parametrize(
    ("written", "country", "date"),
    [
        ("19970216", "BR", "19970216"),
        ("1997-02-16", "BR", "19970216"),
        ("1997/2/16", "BR", "19970216"),
        ("1997-02-16T00:00:00.000Z", "BR", "19970216"),
        ("1997-02-16 03:00:00", "BR", "19970216"),
        ("16/02/1997", "BR", "19970216"),
        ("16.2.1997", "BR", "19970216"),
        ("16021997", "BR", "19970216"),
        ("02/03/1997", "BR", "19970302"),
        ("02/03/1997", "US", "19970203"),
        ("2/16/1997", "BR", "19970216"),  # 16 is not a month
        ("16/2/1997", "US", "19970216"),
        ("29/02/2000", "BR", "20000229"),
        ("29/02/1900", "BR", None),
        ("31/04/1990", "BR", None),
        ("19971332", "BR", None),
        ("01/01/1899", "BR", None),
        ("01/01/2999", "BR", None),
        ("16/02/97", "BR", None),
        ("1997111", "BR", None),
        ("0000-00-00", "BR", None),
        ("ontem", "BR", None),
    ],
)
def test_birth_date_is_a_day_between_1900_and_today(
    written: str, country: str, date: str | None
) -> None:
    assert normalise("db", written, country=country) == date


def test_nobody_is_born_tomorrow() -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert normalise("db", tomorrow.isoformat()) is None


def test_external_id_is_trimmed_and_lower_case_like_metas_libraries_have_it() -> None:
    assert normalise("external_id", "  Cliente-42_A ") == "cliente-42_a"


CLEAR = ClearUser(
    email=" Maria@Example.com",
    phones=("(11) 99999-8888", "+55 11 99999-8888", "11 3333-4444", "-"),
    full_name=" Maria  da Silva Souza ",
    city="São Paulo",
    state="São Paulo",
    zip="01310-100",
    country="Brasil",
)


def test_person_is_hashed_field_by_field_and_each_phone_once() -> None:
    assert hash_user(CLEAR) == UserData(
        em=[sha("maria@example.com")],
        ph=[sha("5511999998888"), sha("551133334444")],
        fn=[sha("maria")],
        ln=[sha("da silva souza")],
        ct=[sha("sãopaulo")],
        st=[sha("sp")],
        zp=[sha("01310100")],
        country=[sha("br")],
    )


def test_person_in_clear_shows_what_was_hashed() -> None:
    clear = normalise_user(CLEAR)
    hashed = hash_user(CLEAR)
    assert clear["ph"] == "5511999998888,551133334444"
    assert hashed.ln == [digest(clear["ln"])]
    assert set(clear) == {"em", "ph", "fn", "ln", "ct", "st", "zp", "country"}


def test_given_first_and_last_name_win_over_the_full_name() -> None:
    user = hash_user(
        ClearUser(first_name="Ana Maria", last_name="Souza", full_name="A. M. Souza Lima")
    )
    assert (user.fn, user.ln) == ([sha("ana maria")], [sha("souza")])


def test_full_name_of_one_word_has_no_last_name() -> None:
    user = hash_user(ClearUser(full_name="Maria"))
    assert (user.fn, user.ln) == ([sha("maria")], [])


def test_buyers_own_country_decides_over_the_tenants() -> None:
    portuguese = ClearUser(
        phones=("912 345 678",), zip="1000-001", state="Lisboa", country="Portugal"
    )
    user = hash_user(portuguese, country="BR")
    assert (user.ph, user.zp, user.st) == ([sha("351912345678")], [sha("1000001")], [sha("lisboa")])


def test_unknown_country_leaves_the_tenants_rules_in_force() -> None:
    user = hash_user(ClearUser(phones=("11 99999-8888",), country="Terra do Nunca"))
    assert (user.ph, user.country) == ([sha("5511999998888")], [])


def test_hashed_person_goes_through_as_it_is() -> None:
    user = hash_user(
        ClearUser(
            email=sha("a@example.com"), phones=(sha("5511999998888").upper(),), country=sha("br")
        )
    )
    assert (user.em, user.ph, user.country) == (
        [sha("a@example.com")],
        [sha("5511999998888")],
        [sha("br")],
    )


def test_nobody_gives_nothing() -> None:
    blank = ClearUser(email="", phones=("", " "), full_name="  ", city="-", zip="", country="")
    assert hash_user(blank) == hash_user(ClearUser()) == UserData()
    assert normalise_user(blank) == {}


def test_clear_person_is_not_shown_by_a_log_line() -> None:
    assert "aria" not in repr(CLEAR)
    assert "9999" not in f"{CLEAR}"
