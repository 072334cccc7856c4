"""Phone numbers as Brazilian forms, dial plans and gateways write them."""

from __future__ import annotations

import pytest

from sinal_hub.identity import normalise

MOBILE = "5511999998888"


@pytest.mark.parametrize(
    "written",
    [
        "11999998888",
        "(11) 99999-8888",
        "11 9 9999 8888",
        "11.99999.8888",
        "011 99999-8888",
        "(011) 99999-8888",
        "0 21 11 99999-8888",
        "0XX11 99999-8888",
        "021 11 99999-8888",
        "5511999998888",
        "55 11 99999-8888",
        "+55 11 99999-8888",
        "+55 (0)11 99999-8888",
        "+55 (0xx11) 99999-8888",
        "+55 0 15 11 99999-8888",
        "00 55 11 99999-8888",
        "0055 (11) 99999-8888",
        "0 55 11 99999-8888",
        "+55 +55 11 99999-8888",
        "555511999998888",
        "+11 99999-8888",
        "tel:+55-11-99999-8888",
        "tel:11999998888;phone-context=+55",
        "+55 11 99999-8888;ext=12",
        "(11) 99999-8888 ramal 204",
        "(11) 99999-8888 x204",
        "Cel.: (11) 99999-8888",
        "WhatsApp 11 99999-8888",
        "１１ ９９９９９－８８８８",
        "＋55 11 99999-8888",
        "\u202a+55\u00a011\u00a099999\u20118888\u202c",
        "11 99999-8888 / 11 3333-4444",
        "11 99999-8888 ou 21 3333-4444",
        "(11) 9999-8888",
        "11 9999-8888",
        "551199998888",
        "+55 11 9999-8888",
    ],
)
def test_one_mobile_number_however_it_is_written(written: str) -> None:
    assert normalise("ph", written) == MOBILE


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("(11) 3333-4444", "551133334444"),
        ("+55 21 2345-6789", "552123456789"),
        ("(61) 4002-8922", "556140028922"),
        ("85 5555-0000", "558555550000"),
    ],
)
def test_landline_gets_no_ninth_digit(written: str, number: str) -> None:
    assert normalise("ph", written) == number


@pytest.mark.parametrize("first", "6789")
def test_mobile_of_eight_digits_gets_its_ninth(first: str) -> None:
    assert normalise("ph", f"(31) {first}123-4567") == f"55319{first}1234567"


def test_test_number_of_the_right_shape_is_a_number() -> None:
    assert normalise("ph", "+55 11 90000-0000") == "5511900000000"


@pytest.mark.parametrize(
    "written", ["(55) 99999-8888", "55 99999-8888", "55999998888", "+55 55 99999-8888"]
)
def test_area_code_55_is_not_taken_for_the_country(written: str) -> None:
    assert normalise("ph", written) == "5555999998888"


@pytest.mark.parametrize(
    "written",
    [
        "99999-8888",  # no area code
        "55 900000000",  # country and nine digits: no area code
        "+55 900000000",
        "+55 99999-8888",
        "(10) 99999-8888",  # no such area code
        "(20) 99999-8888",
        "11 1234-5678",  # no line begins with 1
        "11 89999-8888",  # nine digits must begin with 9
        "00000000000",
        "11111111111",
        "0800 123 4567",
        "190",
        "123",
        "+55 11 99999-88889",
        "(11) 9****-8888",
        "+55 (11) 9****-**88",
        "não tenho",
        "+",
        "00",
    ],
)
def test_what_is_no_full_number_is_none(written: str) -> None:
    assert normalise("ph", written) is None


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+351 912 345 678", "351912345678"),
        ("00351 912 345 678", "351912345678"),
        ("351912345678", "351912345678"),
        ("+1 (650) 555-1212", "16505551212"),
        ("+1 650.555.1212 ext. 12", "16505551212"),
        ("+44 (0)161 496 0000", "441614960000"),
        ("+44 0161 496 0000", "441614960000"),
        ("+39 06 698 12345", "390669812345"),  # Italy's zero belongs to the number
        ("+54 9 11 2345-6789", "5491123456789"),
    ],
)
def test_foreign_number_keeps_its_own_country(written: str, number: str) -> None:
    assert normalise("ph", written) == number


@pytest.mark.parametrize(
    ("written", "country", "number"),
    [
        ("650.555.1212", "US", "16505551212"),
        ("1 650 555 1212", "us", "16505551212"),
        ("0161 496 0000", "GB", "441614960000"),
        ("912 345 678", "PT", "351912345678"),
        ("5511999998888", "US", MOBILE),
        ("+55 11 9999-8888", "US", MOBILE),
        ("5511999998888", "PT", MOBILE),
    ],
)
def test_default_country_is_the_tenants(written: str, country: str, number: str) -> None:
    assert normalise("ph", written, country=country) == number


def test_unknown_default_country_still_takes_numbers_with_their_own() -> None:
    assert normalise("ph", "+55 11 99999-8888", country="") == MOBILE
    assert normalise("ph", "650 555 1212", country="") is None
