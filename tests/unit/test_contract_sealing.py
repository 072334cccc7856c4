"""Sealed plans: whole on the way back, unreadable and unchangeable on the way, and quiet about
their keys.
"""

from __future__ import annotations

import base64
import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinal_crds import sealing
from sinal_crds.keyring import InvalidKeyring, Keyring, UnknownKey
from sinal_crds.plan import DestinationPlan, FunnelPlan, IntegrationPlan, TenantPlan
from sinal_crds.sealing import (
    TamperedPlan,
    UnsupportedPlanVersion,
    needs_sealing,
    plan_hash,
    seal,
    sealed_hash,
    sealed_key_id,
    unseal,
)

KEYRING = Keyring.generate()
TOKEN = "EAAB-the-token"
HOTTOK = "the-hottok"
PLAN = TenantPlan(
    slug="loja",
    namespace="default",
    name="loja",
    uid="u",
    destinations=(DestinationPlan(name="pixel", pixel_id="11111", access_token=TOKEN),),
    funnels=(
        FunnelPlan(name="curso", type="DirectSale", public_key="fk_a", server_key_sha256="0" * 64),
    ),
    integrations=(
        IntegrationPlan(
            name="v",
            gateway="hotmart",
            funnel="curso",
            token_sha256="1" * 64,
            credentials={"hottok": HOTTOK},
        ),
    ),
)


def with_token(token: str) -> TenantPlan:
    destination = DestinationPlan(name="pixel", pixel_id="11111", access_token=token)
    return TenantPlan(
        slug="loja", namespace="default", name="loja", uid="u", destinations=(destination,)
    )


destinations = st.builds(
    DestinationPlan,
    name=st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    pixel_id=st.from_regex(r"[0-9]{5,20}", fullmatch=True),
    access_token=st.text(max_size=40),
    problem=st.none() | st.text(max_size=20),
)
plans = st.builds(
    TenantPlan,
    slug=st.from_regex(r"[a-z]{1,10}", fullmatch=True),
    namespace=st.just("default"),
    name=st.just("loja"),
    uid=st.text(max_size=10),
    suspended=st.booleans(),
    hosts=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    destinations=st.lists(destinations, max_size=3, unique_by=lambda d: d.name).map(tuple),
    integrations=st.dictionaries(st.text(max_size=5), st.text(max_size=9), max_size=3).map(
        lambda creds: (
            IntegrationPlan(name="v", gateway="g", funnel="f", token_sha256="x", credentials=creds),
        )
    ),
)


@given(plans)
def test_what_was_sealed_comes_back_whole(plan: TenantPlan) -> None:
    assert unseal(seal(plan, KEYRING), KEYRING) == plan


def test_the_envelope_is_readable_but_for_its_secrets() -> None:
    raw = seal(PLAN, KEYRING)
    envelope = json.loads(raw)
    assert envelope["plan"]["destinations"][0]["pixel_id"] == "11111"
    assert envelope["sealed"]["kid"] == KEYRING.primary
    for secret in (TOKEN, HOTTOK):
        assert secret.encode() not in raw
        assert base64.b64encode(secret.encode()).rstrip(b"=")[:12] not in raw


@given(st.data())
def test_no_byte_of_the_envelope_changes_what_comes_out(data: st.DataObject) -> None:
    """Each reader refuses what was changed, but for what only the other one reads."""
    whole = seal(PLAN, KEYRING)
    raw = bytearray(whole)
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] ^= data.draw(st.integers(1, 255))
    apart = whole.index(b'"edge"')
    for reader, is_mine in (
        (KEYRING, index < apart),
        (KEYRING.part_for("edge"), index >= apart + len('"edge":')),
    ):
        if is_mine and not whole.index(b'"sealed"') <= index < apart:
            with pytest.raises((TamperedPlan, UnknownKey, UnsupportedPlanVersion)):
                unseal(bytes(raw), reader)
            continue
        with contextlib.suppress(TamperedPlan, UnknownKey, UnsupportedPlanVersion):
            assert unseal(bytes(raw), reader) == unseal(whole, reader)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"pixel_id":"11111"', b'"pixel_id":"66666"'),
        (b'"slug":"loja","hash"', b'"slug":"lola","hash"'),
        (b'"suspended":false', b'"suspended":true'),
    ],
)
def test_a_token_can_not_be_pointed_elsewhere(old: bytes, new: bytes) -> None:
    raw = seal(PLAN, KEYRING)
    assert old in raw
    with pytest.raises(TamperedPlan):
        unseal(raw.replace(old, new), KEYRING)


def test_secrets_can_not_move_to_another_tenants_plan() -> None:
    other = TenantPlan(
        slug="outra", namespace="default", name="outra", uid="o", destinations=PLAN.destinations
    )
    mine, theirs = json.loads(seal(PLAN, KEYRING)), json.loads(seal(other, KEYRING))
    theirs["sealed"] = mine["sealed"]
    with pytest.raises(TamperedPlan):
        unseal(json.dumps(theirs, separators=(",", ":")).encode(), KEYRING)


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b"[]", b"\xff", b'{"version": "1"}', b'{"version": 1}']
)
def test_what_is_no_envelope_is_refused(raw: bytes) -> None:
    with pytest.raises(TamperedPlan):
        unseal(raw, KEYRING)


def test_a_plan_of_the_future_is_refused_by_its_version() -> None:
    future = b'{"version": 2, "whatever": []}'
    with pytest.raises(UnsupportedPlanVersion, match="version 2"):
        unseal(future, KEYRING)
    with pytest.raises(UnsupportedPlanVersion):
        sealed_hash(future)


def test_another_installations_keyring_opens_nothing() -> None:
    with pytest.raises(UnknownKey, match=KEYRING.primary):
        unseal(seal(PLAN, KEYRING), Keyring.generate())


def test_after_a_rotation_old_plans_open_and_want_sealing_again() -> None:
    old = seal(PLAN, KEYRING)
    rotated = KEYRING.rotate()
    assert unseal(old, rotated) == PLAN
    assert needs_sealing(old, PLAN, rotated)
    new = seal(PLAN, rotated)
    assert sealed_key_id(new) == rotated.primary != KEYRING.primary
    assert sealed_hash(new) == sealed_hash(old)
    with pytest.raises(UnknownKey):
        unseal(new, KEYRING)


def test_rotating_on_drops_the_oldest_keys() -> None:
    ring = KEYRING.rotate(keep=1).rotate(keep=1)
    assert len(ring.keys) == 2
    with pytest.raises(UnknownKey):
        unseal(seal(PLAN, KEYRING), ring)


def test_an_unchanged_plan_need_not_be_sealed_again() -> None:
    raw = seal(PLAN, KEYRING)
    assert sealed_hash(raw) == plan_hash(PLAN, KEYRING)
    assert not needs_sealing(raw, PLAN, KEYRING)
    assert needs_sealing(None, PLAN, KEYRING)
    assert needs_sealing(b"broken", PLAN, KEYRING)


def test_a_rotated_secret_changes_the_hash_and_the_hash_tells_nothing_of_it() -> None:
    assert plan_hash(with_token("a"), KEYRING) != plan_hash(with_token("b"), KEYRING)
    assert plan_hash(with_token("a"), KEYRING) == plan_hash(
        with_token("a"), Keyring.from_json(KEYRING.to_json())
    )
    # no dictionary attack
    assert plan_hash(with_token("a"), KEYRING) != plan_hash(with_token("a"), Keyring.generate())


def test_sealing_twice_never_repeats_a_nonce() -> None:
    nonces = {json.loads(seal(PLAN, KEYRING))["sealed"]["nonce"] for _ in range(50)}
    assert len(nonces) == 50


def test_nothing_that_is_printed_holds_a_secret() -> None:
    assert TOKEN not in repr(PLAN)
    assert HOTTOK not in repr(PLAN)
    file = json.loads(KEYRING.to_json())
    for key in (file["mint"], *(item["key"] for item in file["keys"])):
        assert key not in repr(KEYRING)
        assert repr(base64.b64decode(key)) not in repr(KEYRING)


def test_a_keyring_is_a_file() -> None:
    file = json.loads(KEYRING.to_json())
    assert file["version"] == 1
    assert file["primary"] == file["keys"][0]["id"]
    assert Keyring.from_json(KEYRING.to_json()) == KEYRING


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"version": 2}, "version 2"),
        ({"mint": "!"}, "mint"),
        ({"mint": "AAAA"}, "mint: must be 32 bytes"),
        ({"primary": "other"}, "primary"),
        ({"keys": []}, "primary"),
        ({"keys": [{"id": "a"}]}, "key"),
        ({"keys": "none"}, "keys"),
    ],
)
def test_a_broken_keyring_is_refused_by_the_field(change: dict[str, object], named: str) -> None:
    raw = json.dumps(json.loads(KEYRING.to_json()) | change).encode()
    with pytest.raises(InvalidKeyring, match=named) as refused:
        Keyring.from_json(raw)
    assert json.loads(KEYRING.to_json())["mint"] not in str(refused.value)


def test_a_plan_of_a_release_that_could_suspend_tenants_only_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def older(value: object) -> bytes:
        plain = msgspec.to_builtins(value)
        for part in ("destinations", "funnels", "integrations"):
            for one in plain.get(part, ()) if isinstance(plain, dict) else ():
                one.pop("suspended", None)
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()

    monkeypatch.setattr(sealing, "_canonical", older)
    raw = seal(PLAN, KEYRING)
    monkeypatch.undo()
    assert raw.count(b"suspended") == 1
    assert unseal(raw, KEYRING) == PLAN
