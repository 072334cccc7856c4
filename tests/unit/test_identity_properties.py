"""What holds for every text whatsoever."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given
from hypothesis import strategies as st

from sinal_hub import identity
from sinal_hub.model import placeholders

EMPTY = hashlib.sha256(b"").hexdigest()
HEX = re.compile(r"[0-9a-f]{64}")

fields = st.sampled_from(identity.FIELDS)
countries = st.sampled_from(["BR", "US", "GB", "PT", "MX", "br", "XX", ""])
any_text = st.text(st.characters(), max_size=1_000)
nasty = st.text(
    "0123456789+-/. ()#;x@'’*,<>abcABCéÉãñßıİΣς\u0303\u200b\ufeff\u00a0\ufe0f\ud800１", max_size=60
)
texts = any_text | nasty
subscribers = st.from_regex(r"9[1-9][0-9]{7}|[2-5][0-9]{7}", fullmatch=True)
areas = st.sampled_from(["11", "21", "31", "47", "55", "61", "71", "85", "99"])
words = st.text(st.characters(categories=["Lu", "Ll"]), min_size=1, max_size=12)
mailboxes = st.from_regex(r"[a-zA-Z0-9_+.-]{1,66}", fullmatch=True)
domains = st.from_regex(
    r"[a-z0-9.-]{1,24}\.(com|com\.br|BR|c1|c-d|local|localhost|test|onion|invalid|arpa|xn--p1ai)",
    fullmatch=True,
)


@given(fields, texts, countries)
def test_any_text_gives_a_value_or_none_but_no_error(field: str, text: str, country: str) -> None:
    normalised = identity.normalise(field, text, country=country)
    assert normalised is None or normalised.strip()


@given(fields, texts, countries)
def test_hash_is_sha256_hex_and_never_that_of_nothing(field: str, text: str, country: str) -> None:
    hashed = identity.hashed(field, text, country=country)
    assert hashed is None or (HEX.fullmatch(hashed) and hashed != EMPTY)


@given(st.sampled_from([f for f in identity.FIELDS if f != "ph"]), texts, countries)
@example("ct", "0AAA", "BR")  # what is left of it is a placeholder
@example("fn", "'Null'", "BR")
def test_normalising_again_changes_nothing(field: str, text: str, country: str) -> None:
    once = identity.normalise(field, text, country=country)
    if once is not None:
        assert identity.normalise(field, once, country=country) == once


@given(texts | st.from_regex(r"(\+|00)?[0-9 ().-]{8,18}", fullmatch=True), countries)
@example("+820000000", "BR")
@example("0000950906898010", "BR")
@example("+910080381070", "PT")
def test_phone_with_its_plus_is_read_back_unchanged(text: str, country: str) -> None:
    once = identity.normalise("ph", text, country=country)
    if once is not None and not HEX.fullmatch(once):
        assert once.isascii() and once.isdigit() and not once.startswith("0")
        assert identity.normalise("ph", "+" + once, country=country) == once


@given(areas, subscribers)
def test_brazilian_number_is_one_number_with_and_without_country_and_trunk(
    area: str, line: str
) -> None:
    assume(len(set(line[-8:])) > 1 or line.endswith("00000000"))  # a row is nobody's number
    expected = f"55{area}{line}"
    for written in (
        f"{area}{line}",
        f"0{area}{line}",
        f"021{area}{line}",
        f"+55{area}{line}",
        f"55{area}{line}",
    ):
        assert identity.normalise("ph", written) == expected


@given(st.sampled_from(["fn", "ln", "ct", "em"]), words)
def test_composed_and_decomposed_accents_are_one_hash(field: str, word: str) -> None:
    text = f"{word}@example.com" if field == "em" else word
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert identity.hashed(field, composed) == identity.hashed(field, decomposed)


@given(st.from_regex(r"[0-9]{5}", fullmatch=True), st.from_regex(r"[0-9]{3}", fullmatch=True))
def test_cep_is_one_value_with_and_without_dash(front: str, back: str) -> None:
    assume(len(set(front + back)) > 1)
    assert (
        identity.normalise("zp", f"{front}-{back}")
        == identity.normalise("zp", front + back)
        == front + back
    )


@given(words, words, st.from_regex(r"[a-z]{3,12}@example\.com", fullmatch=True))
def test_no_clear_text_is_in_what_leaves(first: str, last: str, email: str) -> None:
    clear = identity.ClearUser(email=email, first_name=first, last_name=last)
    user = identity.hash_user(clear)
    for values in (user.em, user.fn, user.ln):
        assert all(HEX.fullmatch(value) for value in values)
    assert email not in repr(user)
    assert email not in repr(clear)


@given(mailboxes, domains)
@example("maria.silva+1", "a-b.com.br")
@example("maria", "a--b.com")
@example("maria", "shop.local")
@example("m" * 65, "gmail.com")
def test_an_address_is_one_wherever_the_validator_says_so(mailbox: str, domain: str) -> None:
    address = f"{mailbox}@{domain}".lower()
    assume(address[0] not in "'`" and not placeholders.is_no_mailbox(address))
    try:
        found = validate_email(
            address, check_deliverability=False, globally_deliverable=False, test_environment=True
        ).normalized
    except EmailNotValidError:
        found = None
    assert identity.normalise("em", f"{mailbox}@{domain}") == (found and found.lower())
