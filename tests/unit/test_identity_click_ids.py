"""fbc, fbp and what an ad's URL carries: kept to the letter or dropped."""

from __future__ import annotations

from random import Random
from urllib.parse import quote

import pytest
from capi_param_builder import ParamBuilder  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from sinal_hub.identity import (
    Fbc,
    Fbp,
    build_fbc,
    fbclid_of_fbc,
    fbclid_of_url,
    new_fbp,
    usable_fbc,
    utm_of_url,
)
from sinal_hub.model.events import Utm
from sinal_hub.model.placeholders import is_no_id

DAY_MS = 86_400_000
CREATED_MS = 1_762_000_000_000
FBCLID = "IwY2xjawAbC_dEf-123_aem_XyZ"

fbclids = st.from_regex(r"[A-Za-z0-9_-]{1,300}", fullmatch=True).filter(
    lambda text: not is_no_id(text)
)
times = st.integers(1_000_000_000_000, 9_999_999_999_999)


def test_fbc_is_built_as_meta_documents_it() -> None:
    assert build_fbc("AbCdEfGhIjKlMnOp", 1_554_763_741_205) == "fb.1.1554763741205.AbCdEfGhIjKlMnOp"
    assert build_fbc("AbC", 1_554_763_741_205, subdomain_index=2) == "fb.2.1554763741205.AbC"


@given(fbclids, times, st.integers(0, 9))
def test_built_fbc_gives_its_parts_back(fbclid: str, created_ms: int, index: int) -> None:
    fbc = build_fbc(fbclid, created_ms, index)
    assert fbc is not None
    assert fbclid_of_fbc(fbc) == fbclid
    assert Fbc.parse(fbc) == Fbc(fbc, index, created_ms, fbclid, None)


@pytest.mark.parametrize(
    "fbclid", ["", " ", "a b", "a.b", "a%3Db", "ação", "a\nb", "x" * 513, "<script>"]
)
def test_malformed_fbclid_builds_no_fbc(fbclid: str) -> None:
    assert build_fbc(fbclid, CREATED_MS) is None


def test_time_in_seconds_builds_no_fbc() -> None:
    assert build_fbc(FBCLID, CREATED_MS // 1000) is None


@pytest.mark.parametrize("appendix", ["AQ", "Ag", "Bg", "AQICAQMC"])
def test_fifth_segment_of_metas_library_stays_in_what_is_sent_but_not_in_the_fbclid(
    appendix: str,
) -> None:
    fbc = f"fb.1.{CREATED_MS}.{FBCLID}.{appendix}"
    assert usable_fbc(fbc, CREATED_MS + 1) == fbc
    assert fbclid_of_fbc(fbc) == FBCLID


def test_dot_inside_a_foreign_fbclid_stays_in_it() -> None:
    assert fbclid_of_fbc(f"fb.1.{CREATED_MS}.part.another") == "part.another"


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "fb",
        "fb.1",
        f"fb.1.{CREATED_MS}",
        f"fb.1.{CREATED_MS}.",
        f"FB.1.{CREATED_MS}.abc",
        f"fb.x.{CREATED_MS}.abc",
        "fb.1.1762000000.abc",
        "fb.1.later.abc",
        f"fb.1.{CREATED_MS}.abc.AQ.more",
        f"fb.1.{CREATED_MS}.a bc",
        f" fb.1.{CREATED_MS}.abc",
        f"fb.1.{CREATED_MS}.abc\n",
        f"fb.1.{CREATED_MS}.{'x' * 513}",
        "fb.1.１７６２０００００００００.abc",
        "null",
    ],
)
def test_malformed_fbc_is_dropped(malformed: str) -> None:
    assert Fbc.parse(malformed) is None
    assert fbclid_of_fbc(malformed) is None
    assert usable_fbc(malformed, CREATED_MS) is None


@pytest.mark.parametrize(
    ("age_ms", "usable"),
    [
        (0, True),
        (90 * DAY_MS, True),
        (90 * DAY_MS + 1, False),
        (-60_000, True),
        (-60_001, False),
        (-DAY_MS, False),
    ],
)
def test_fbc_is_usable_for_90_days_and_not_from_the_future(age_ms: int, usable: bool) -> None:
    fbc = f"fb.1.{CREATED_MS}.{FBCLID}"
    assert usable_fbc(fbc, CREATED_MS + age_ms) == (fbc if usable else None)


def test_no_fbc_is_no_fbc() -> None:
    assert usable_fbc(None, CREATED_MS) is None


@given(times, st.integers())
def test_new_fbp_is_well_formed_and_repeatable(now_ms: int, seed: int) -> None:
    fbp = new_fbp(now_ms, Random(seed))
    parsed = Fbp.parse(fbp)
    assert parsed is not None
    assert (parsed.raw, parsed.subdomain_index, parsed.created_ms, parsed.appendix) == (
        fbp,
        1,
        now_ms,
        None,
    )
    assert 0 <= parsed.random < 2**31
    assert fbp == new_fbp(now_ms, Random(seed))


@pytest.mark.parametrize(
    ("fbp", "appendix"),
    [
        ("fb.1.1596403881668.1116446470", None),
        ("fb.2.1596403881668.1116446470.AQICAQMC", "AQICAQMC"),
    ],
)
def test_fbp_of_four_or_five_segments_is_kept(fbp: str, appendix: str | None) -> None:
    parsed = Fbp.parse(fbp)
    assert parsed is not None
    assert (parsed.raw, parsed.random, parsed.appendix) == (fbp, 1_116_446_470, appendix)


@pytest.mark.parametrize(
    "malformed", ["", "fb.1.1596403881668", "fb.1.1596403881668.abc", "fb.1.1.2", "1116446470"]
)
def test_malformed_fbp_is_dropped(malformed: str) -> None:
    assert Fbp.parse(malformed) is None


@given(fbclids)
def test_cookies_of_metas_own_library_are_understood(fbclid: str) -> None:
    builder = ParamBuilder(["example.com"])
    builder.process_request("www.example.com", {"fbclid": [fbclid]}, {})
    fbc, fbp = builder.get_fbc(), builder.get_fbp()
    assert fbc is not None and fbp is not None
    assert fbclid_of_fbc(fbc) == fbclid
    assert Fbp.parse(fbp) is not None


@given(fbclids, times)
def test_metas_own_library_keeps_the_cookies_we_make(fbclid: str, now_ms: int) -> None:
    fbc, fbp = build_fbc(fbclid, now_ms), new_fbp(now_ms, Random(1))
    assert fbc is not None
    builder = ParamBuilder(["example.com"])
    builder.process_request("example.com", {"fbclid": [fbclid]}, {"_fbc": fbc, "_fbp": fbp})
    assert (builder.get_fbc() or "").startswith(fbc + ".")
    assert (builder.get_fbp() or "").startswith(fbp + ".")


@pytest.mark.parametrize(
    ("url", "fbclid"),
    [
        (f"https://loja.example/p?utm_source=fb&fbclid={FBCLID}", FBCLID),
        (f"https://loja.example/p?fbclid={FBCLID}#checkout", FBCLID),
        (f"/p?fbclid={FBCLID}", FBCLID),
        (f"?a&b=&fbclid=first&fbclid={FBCLID}", FBCLID),
        ("https://loja.example/?fbclid=AbC%5FdEf", "AbC_dEf"),
        ("https://loja.example/?fbclid=", None),
        ("https://loja.example/?FBCLID=abc", None),
        ("https://loja.example/?fbclid=abc%255Fdef", None),  # encoded twice: not what Meta issued
        ("https://loja.example/?fbclid=a+b", None),
        ("https://loja.example/#fbclid=abc", "abc"),
        ("https://[bad/?fbclid=abc", "abc"),
        (f"https://loja.example/?fbclid={'x' * 513}", None),
        ("", None),
    ],
)
def test_fbclid_of_a_url_keeps_its_case_and_is_decoded_once(url: str, fbclid: str | None) -> None:
    assert fbclid_of_url(url) == fbclid


@given(fbclids)
def test_fbclid_survives_its_url(fbclid: str) -> None:
    assert fbclid_of_url(f"https://loja.example/p?x=1&fbclid={quote(fbclid)}&y=2") == fbclid


@given(st.text(max_size=1_000))
def test_no_url_is_an_error(url: str) -> None:
    fbclid_of_url(url)
    utm_of_url(url)
    assert Fbc.parse(url) is None or url.startswith("fb.")


def test_utms_are_read_as_they_stand() -> None:
    url = (
        "https://loja.example/?utm_source=FB&utm_medium=paid&utm_campaign=Lan%C3%A7amento+%7C+Frio"
        "&utm_content=%7B%7Bad.name%7D%7D&utm_term=&utm_id=7&utm_source=other"
    )
    assert utm_of_url(url) == Utm(source="FB", medium="paid", campaign="Lançamento | Frio")


def test_utm_is_bounded_and_holds_no_control_characters() -> None:
    utm = utm_of_url(f"?utm_source=a%00%0Ab&utm_campaign={'x' * 2_000}")
    assert utm.source == "ab"
    assert utm.campaign == "x" * 500
