"""Customer data: hashes only where Meta wants hashes, and enough of it to find a person."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from sinal_sandbox import customer, quality
from sinal_sandbox.refusals import EventRefusal

# The documentation's own vectors.
DOCUMENTED = {
    "em": "62a14e44f765419d10fea99367361a727c12365e2520f32218d505ed9aa0f62f",
    "ph": "e323ec626319ca94ee8bff2e4c87cf613be6ea19919ed1364124e16807ab3176",
    "fn": "08e1996b5dd49e62a4b4c010d44e4345592a863bb9f8e3976219bac29417149c",
    "db": "01acdbf6ec7b4f478a225f1a246e5d6767eeab1a7ffa17f025265b5b94f40f0c",
    "country": "79adb2a2fce5c6ba215fe5f27f532d4e7edbac4b6a5e09e1ef3a08084a904621",
}
HASH = DOCUMENTED["em"]
FIELDS = ("em", "ph", "fn", "ln", "db", "ge", "ct", "st", "zp", "country")


@pytest.mark.parametrize("as_list", [True, False])
def test_the_documented_vectors_are_taken(as_list: bool) -> None:
    user_data = {name: [value] if as_list else value for name, value in DOCUMENTED.items()}
    assert customer.check(user_data) == customer.mask_of(*DOCUMENTED)


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [
        "john_smith@gmail.com",
        HASH.upper(),
        HASH[:32],  # as long as an MD5
        HASH + "00",
        f" {HASH}",
        [HASH, "maria"],
        {"0": HASH},
        5511987654321,
    ],
)
def test_clear_or_misshapen_contact_data_is_refused(field: str, value: Any) -> None:
    with pytest.raises(EventRefusal) as refused:
        customer.check({"external_id": "x", field: value})
    assert refused.value.field == f"user_data.{field}"
    assert "john_smith" not in refused.value.detail


@pytest.mark.parametrize("appendix", ["AQYBAQIA", "Ag", "BQ"])
def test_a_hash_may_carry_the_parameter_builders_appendix(appendix: str) -> None:
    assert customer.check({"em": [f"{HASH}.{appendix}"]}) == customer.mask_of("em")


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("ct", "country", "st", "zp", "ge", "client_user_agent"),
        ("country", "zp"),
        ("db", "client_user_agent"),
        ("fn", "ge"),
        ("ln", "ge"),
        ("client_user_agent",),
    ],
)
def test_too_broad_data_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(EventRefusal) as refused:
        customer.check({name: HASH for name in names})
    assert refused.value.subcode == 2804050


@pytest.mark.parametrize(
    "user_data",
    [
        {"fn": HASH, "ln": HASH, "zp": HASH},
        {"em": HASH},
        {"external_id": ["customer-1", "customer-2"]},
        {"client_ip_address": "2804:14c::1", "client_user_agent": "Mozilla/5.0"},
        {"fbp": "fb.1.1795000000000.1098115397"},
        {"madid": "cdda802e-fb9c-47ad-0794d394c912"},
        {"fb_login_id": 1234567890},
    ],
)
def test_enough_data_is_taken(user_data: dict[str, Any]) -> None:
    assert customer.check(user_data) == customer.mask_of(*user_data)


def test_blank_fields_and_hashes_of_nothing_identify_nobody() -> None:
    nothing = hashlib.sha256(b"").hexdigest()
    with pytest.raises(EventRefusal) as refused:
        customer.check({"em": [nothing], "ph": [], "fn": "", "external_id": None})
    assert refused.value.subcode == 2804050


def test_quality_follows_metas_priorities() -> None:
    def of(*names: str) -> float:
        return quality.score(customer.mask_of(*names))

    assert of("em") > of("ph") > of("zp") > of("client_user_agent") == 0
    assert of("fbc") == of("em")
    assert of("client_ip_address", "client_user_agent") > of("client_ip_address")
    assert of("em", "ph") > of("em")
    assert of(*customer.BITS) == 10.0
