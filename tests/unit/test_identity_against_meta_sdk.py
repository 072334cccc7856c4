"""Meta's own Python SDK as oracle: where it is right we agree, and every divergence is listed with
its reason.
"""

from __future__ import annotations

import string

import pytest
from facebook_business.adobjects.serverside.normalize import Normalize
from hypothesis import assume, given
from hypothesis import strategies as st

from sinal_hub.identity import hashed, normalise
from sinal_hub.model.placeholders import is_no_mailbox, is_nobody, without_program_words

REFUSED = "the SDK raises"


def of_sdk(field: str, value: str, *, hashing: bool = False) -> str | None:
    """The SDK's answer; it raises TypeError or ValueError where it refuses."""
    try:
        answer = Normalize.normalize(field, value, hashing)  # type: ignore[no-untyped-call]
    except (TypeError, ValueError):
        return REFUSED
    assert answer is None or isinstance(answer, str)
    return answer


AGREED = [
    ("em", " John_Smith@Gmail.com "),
    ("em", "maria.silva+x@example.com.br"),
    ("em", "a" * 64 + "@example.com"),
    ("ph", "+55 (11) 99999-8888"),
    ("ph", "0055 11 99999-8888"),
    ("ph", "5511999998888"),
    ("ph", "+1 (650) 555-1212"),
    ("ph", "+351 912 345 678"),
    ("fn", " Mary "),
    ("fn", "Valéry"),
    ("fn", "정"),
    ("fn", "Ana Maria"),
    ("ln", "da Silva"),
    ("ln", "Souza"),
    ("ct", "São Paulo"),
    ("ct", "St. Louis"),
    ("ct", "Rio de Janeiro"),
    ("ct", "Embu-Guaçu"),
    ("st", "SP"),
    ("st", " mg "),
    ("zp", "01310100"),
    ("country", "BR"),
    ("country", "U.S."),
    ("ge", "F"),
    ("ge", "m"),
    ("db", "19970216"),
    ("external_id", " Cliente-42 "),
    ("em", "62A14E44F765419D10FEA99367361A727C12365E2520F32218D505ED9AA0F62F"),
]

DIVERGENCES = [
    ("fn", " ", "", None, "the SDK hashes the empty string, which every other blank buyer shares"),
    ("ct", "123", "", None, "the same: nothing is left of it"),
    ("zp", "-", "", None, "the same"),
    ("em", "maria", REFUSED, None, "one bad value must not abort the person, let alone the batch"),
    ("em", "a b@c.d e", "a b@c.d e", None, "no address; the SDK's pattern isn't anchored"),
    (
        "em",
        "\ufeffmaria@example.com",
        "\ufeffmaria@example.com",
        "maria@example.com",
        "invisible characters",
    ),
    (
        "em",
        "d41d8cd98f00b204e9800998ecf8427e",
        "d41d8cd98f00b204e9800998ecf8427e",
        None,
        "Meta takes SHA-256 only",
    ),
    ("ph", "(11) 99999-8888", "11999998888", "5511999998888", "the page: always with country code"),
    ("ph", "+55 11 9 9999.8888", REFUSED, "5511999998888", "the page: remove symbols"),
    ("ph", "+55 (0)11 99999-8888", "55011999998888", "5511999998888", "the page: no leading zeros"),
    (
        "ph",
        "+55 11 9999-8888",
        "551199998888",
        "5511999998888",
        "mobiles have had a ninth digit since 2016",
    ),
    ("ph", "tel:+5511999998888", REFUSED, "5511999998888", "the page: remove letters"),
    ("fn", "Maria-José", "maria-josé", "mariajosé", "the page: no punctuation"),
    ("ln", "O'Brien", "o'brien", "obrien", "the page: no punctuation"),
    ("fn", "Jose\u0301", "jose\u0301", "josé", "one name, one hash: composed accents"),
    (
        "ct",
        "Santa Bárbara d'Oeste",
        "santabárbarad'oeste",
        "santabárbaradoeste",
        "the page: no punctuation",
    ),
    ("st", "São Paulo", "sãopaulo", "sp", "name and code of a state are one state"),
    ("zp", "01310-100", "01310", "01310100", "the first five are the US's rule; one CEP, one hash"),
    ("country", "Brasil", REFUSED, "br", "names are understood"),
    ("country", "UK", REFUSED, "gb", "names are understood"),
    ("ge", "Feminino", "feminino", "f", "the page: f or m"),
    ("db", "1997-02-16", "1997-02-16", "19970216", "the page: YYYYMMDD"),
    ("db", "19971332", "19971332", None, "no date"),
]


@pytest.mark.parametrize(("field", "value"), AGREED)
def test_sdk_and_we_agree(field: str, value: str) -> None:
    assert normalise(field, value) == of_sdk(field, value)
    assert hashed(field, value) == of_sdk(field, value, hashing=True)


@pytest.mark.parametrize(("field", "value", "theirs", "ours", "reason"), DIVERGENCES)
def test_divergence_from_the_sdk_is_as_listed(
    field: str, value: str, theirs: str, ours: str | None, reason: str
) -> None:
    assert reason
    assert of_sdk(field, value) == theirs, "the SDK has changed: look at this divergence again"
    assert normalise(field, value) == ours


plain_words = st.text(string.ascii_letters + "áàãâéêíóõôúçÁÃÉÇñüß", min_size=1, max_size=20)


@given(
    st.sampled_from(["fn", "ln", "ct"]), st.lists(plain_words, min_size=1, max_size=4).map(" ".join)
)
def test_sdk_and_we_agree_on_every_name_of_plain_words(field: str, name: str) -> None:
    assume(not is_nobody(name) and name.lower() == without_program_words(name.lower()))
    assume(not is_nobody(str(of_sdk(field, name))))  # `na n` is one more spelling of it
    assert hashed(field, name) == of_sdk(field, name, hashing=True)


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,20}@[a-z]{2,10}\.(com|com\.br|io)", fullmatch=True)
)
def test_sdk_and_we_agree_on_every_plain_address(address: str) -> None:
    assume(not is_no_mailbox(address.lower()))
    assert hashed("em", address) == of_sdk("em", address, hashing=True)


@given(
    st.sampled_from(["11", "21", "51", "85"]),
    st.from_regex(r"9[1-9][0-9]{3}-[0-9]{4}", fullmatch=True),
)
def test_sdk_and_we_agree_on_brazilian_mobiles_with_country_code(area: str, line: str) -> None:
    assume(len(set(line[1:]) - {"-"}) > 1)  # a row is nobody's number
    assert hashed("ph", f"+55 ({area}) {line}") == of_sdk(
        "ph", f"+55 ({area}) {line}", hashing=True
    )
