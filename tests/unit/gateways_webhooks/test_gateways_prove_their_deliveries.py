"""Who may deliver: the right secret passes in every documented form, anything else is refused and nothing raises."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from sinal_runtime.gateways import appmax, braip, hotmart, kiwify, perfectpay, registry, stripe

NOW = 1_785_000_000.0
TOKEN = "kiwify-token"


def sha1(message: bytes, key: str = TOKEN) -> str:
    return hmac.new(key.encode(), message, hashlib.sha1).hexdigest()


def stripe_header(raw: bytes, *, key: str = "whsec_a", at: float = NOW) -> dict[str, str]:
    stamp = str(int(at))
    signature = hmac.new(key.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={stamp},v1={signature},v0=00"}


class TestHotmart:
    RAW = b'{"event":"PURCHASE_APPROVED","hottok":"in-the-body","data":{}}'

    def test_header(self) -> None:
        assert hotmart.verify(self.RAW, {"x-hotmart-hottok": "tok"}, {}, {"hottok": "tok"})
        assert hotmart.verify(self.RAW, {"X-HOTMART-HOTTOK": "tok"}, {}, {"hottok": "tok"})

    def test_body_of_older_deliveries(self) -> None:
        assert hotmart.verify(self.RAW, {}, {}, {"hottok": "in-the-body"})
        assert hotmart.verify(b"hottok=in-the-body&transaction=HP1", {}, {}, {"hottok": "in-the-body"})

    def test_a_body_does_not_repair_a_wrong_header(self) -> None:
        assert not hotmart.verify(self.RAW, {"x-hotmart-hottok": "wrong"}, {}, {"hottok": "in-the-body"})

    @pytest.mark.parametrize("secret", [{}, {"hottok": ""}, {"hottok": "other"}, {"hottok": "TOK"}])
    def test_refused(self, secret: dict[str, str]) -> None:
        assert not hotmart.verify(b"{}", {"x-hotmart-hottok": "tok"}, {}, secret)

    def test_missing_everywhere(self) -> None:
        assert not hotmart.verify(b"{}", {}, {}, {"hottok": "tok"})

    def test_two_tokens_while_one_is_replaced(self) -> None:
        assert hotmart.verify(b"{}", {"x-hotmart-hottok": "new"}, {}, {"hottok": "old\nnew\n"})


class TestKiwify:
    FLAT = b'{"order_id":"1","order_status":"paid"}'
    ORDER = b'{ "order_id": "1",\n "order_status" :"paid", "note": "\xc3\xa7" }'

    def wrapped(self, signature: str) -> bytes:
        return b'{"url":"https://x", "signature" : "' + signature.encode() + b'", "order" :  ' + self.ORDER + b"\n}"

    def test_raw_body(self) -> None:
        query = {"signature": sha1(self.FLAT)}
        assert kiwify.verify(self.FLAT, {}, query, {"token": TOKEN})
        assert kiwify.signature_form(self.FLAT, query, {"token": TOKEN}) == "body"

    def test_wrapped_body_signed_whole(self) -> None:
        raw = self.wrapped("x")
        assert kiwify.signature_form(raw, {"signature": sha1(raw)}, {"token": TOKEN}) == "body"

    def test_bytes_of_the_order_by_the_query(self) -> None:
        query = {"signature": sha1(self.ORDER)}
        assert kiwify.signature_form(self.wrapped("x"), query, {"token": TOKEN}) == "order"

    def test_bytes_of_the_order_by_the_wrapper(self) -> None:
        assert kiwify.signature_form(self.wrapped(sha1(self.ORDER)), {}, {"token": TOKEN}) == "wrapper"

    def test_the_order_written_anew_is_not_what_was_signed(self) -> None:
        again = json.dumps(json.loads(self.ORDER)).encode()
        assert not kiwify.verify(self.wrapped(sha1(again)), {}, {}, {"token": TOKEN})

    def test_a_signed_order_does_not_vouch_for_another(self) -> None:
        forged = b'{"order": {"order_id":"2","order_status":"paid"}, "signature": "' + sha1(self.ORDER).encode() + b'"}'
        assert not kiwify.verify(forged, {}, {}, {"token": TOKEN})

    def test_of_two_orders_in_one_body_the_read_one_is_the_verified_one(self) -> None:
        forged = b'{"order_id":"2","order":' + self.ORDER + b',"order":{"order_id":"2","order_status":"paid"}}'
        query = {"signature": sha1(self.ORDER)}
        (read,) = kiwify.parse(forged)
        assert read.order_id == "2"
        assert not kiwify.verify(forged, {}, query, {"token": TOKEN})

    def test_what_stands_beside_a_signed_order_is_not_read(self) -> None:
        raw = b'{"order_id":"2","order_status":"paid","order":' + self.ORDER + b"}"
        assert kiwify.verify(raw, {}, {"signature": sha1(self.ORDER)}, {"token": TOKEN})
        assert kiwify.parse(raw)[0].order_id == "1"

    def test_behind_a_second_question_mark(self) -> None:
        query = {"origem": f"meta?signature={sha1(self.FLAT)}"}
        assert kiwify.verify(self.FLAT, {}, query, {"token": TOKEN})

    def test_the_last_signature_counts(self) -> None:
        query = {"signature": f"registered?signature={sha1(self.FLAT)}"}
        assert kiwify.verify(self.FLAT, {}, query, {"token": TOKEN})
        query = {"signature": f"{sha1(self.FLAT)}?signature=registered"}
        assert not kiwify.verify(self.FLAT, {}, query, {"token": TOKEN})

    @pytest.mark.parametrize("secret", [{}, {"token": ""}, {"token": " \n"}, {"token": "other"}])
    def test_an_empty_or_other_token_proves_nothing(self, secret: dict[str, str]) -> None:
        for key in ("", TOKEN):
            assert not kiwify.verify(self.FLAT, {}, {"signature": sha1(self.FLAT, key)}, secret)

    @pytest.mark.parametrize("signature", ["", "00", "é" * 40, sha1(FLAT + b" ")])
    def test_wrong_signature(self, signature: str) -> None:
        assert not kiwify.verify(self.FLAT, {}, {"signature": signature}, {"token": TOKEN})


class TestStripe:
    RAW = b'{"id":"evt_1","object":"event"}'

    def verify(self, headers: dict[str, str], *, raw: bytes = RAW, secret: str = "whsec_a", now: float = NOW) -> bool:
        return stripe.verify(raw, headers, {}, {"webhookSecret": secret}, now=now)

    def test_signed(self) -> None:
        assert self.verify(stripe_header(self.RAW))

    def test_any_of_several_signatures(self) -> None:
        first, second = stripe_header(self.RAW, key="whsec_old"), stripe_header(self.RAW)
        both = first["stripe-signature"] + "," + second["stripe-signature"].partition(",")[2]
        assert self.verify({"stripe-signature": both})

    @pytest.mark.parametrize("secrets", ["whsec_b,whsec_a", "whsec_b\nwhsec_a", "whsec_b, whsec_a"])
    def test_any_of_several_secrets(self, secrets: str) -> None:
        assert self.verify(stripe_header(self.RAW), secret=secrets)

    @pytest.mark.parametrize(("age", "passes"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
    def test_tolerance_of_300_seconds(self, age: int, passes: bool) -> None:
        assert self.verify(stripe_header(self.RAW, at=NOW - age)) is passes

    def test_the_stamp_is_signed_too(self) -> None:
        old = stripe_header(self.RAW, at=NOW - 900)["stripe-signature"]
        assert not self.verify({"stripe-signature": old.replace(f"t={int(NOW - 900)}", f"t={int(NOW)}")})

    def test_a_changed_body(self) -> None:
        assert not self.verify(stripe_header(self.RAW), raw=self.RAW + b" ")

    @pytest.mark.parametrize(
        "header", ["", "t=", "v1=00", "t=x,v1=00", "t=1,t=2,v1=00", f"t={int(NOW)}", f"t={int(NOW)},v1=", "t=²,v1=é"]
    )
    def test_malformed_headers(self, header: str) -> None:
        assert not self.verify({"stripe-signature": header})

    def test_only_v1_counts(self) -> None:
        header = stripe_header(self.RAW)["stripe-signature"].replace("v1=", "v0=")
        assert not self.verify({"stripe-signature": header})

    def test_without_secret(self) -> None:
        assert not stripe.verify(self.RAW, stripe_header(self.RAW, key=""), {}, {"webhookSecret": ""}, now=NOW)
        assert not stripe.verify(self.RAW, stripe_header(self.RAW, key=""), {}, {}, now=NOW)


@pytest.mark.parametrize(
    ("module", "field", "key"),
    [(perfectpay, "token", "token"), (braip, "basic_authentication", "basicAuthentication")],
)
class TestSecretInTheBody:
    def test_the_right_one(self, module: Any, field: str, key: str) -> None:
        assert module.verify(json.dumps({field: "s3cret"}).encode(), {}, {}, {key: "s3cret"})
        assert module.verify(f"{field}=s3cret".encode(), {}, {}, {key: "s3cret"})

    @pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<xml/>", b'{"token":null,"basic_authentication":{}}'])
    def test_none(self, module: Any, field: str, key: str, body: bytes) -> None:
        assert not module.verify(body, {}, {}, {key: "s3cret"})

    def test_another(self, module: Any, field: str, key: str) -> None:
        body = json.dumps({field: "s3cret"}).encode()
        for secret in ({}, {key: ""}, {key: "other"}):
            assert not module.verify(body, {}, {}, secret)


def test_appmax_proves_nothing_and_says_so() -> None:
    assert appmax.SECRET_KEYS == () and appmax.AUTHENTICATES is False
    assert appmax.verify(b"{}", {}, {}, {})


def test_every_other_gateway_authenticates_with_one_secret() -> None:
    keys = {name: module.SECRET_KEYS for name, module in registry().items() if module.AUTHENTICATES}
    assert keys == {
        "hotmart": ("hottok",),
        "kiwify": ("token",),
        "stripe": ("webhookSecret",),
        "perfectpay": ("token",),
        "braip": ("basicAuthentication",),
        "cakto": ("secret",),
        "monetizze": ("chaveUnica",),
        "pushinpay": ("token",),
        "eduzz": ("secret",),
        "ticto": ("token",),
        "lastlink": ("token",),
        "shopify": ("webhookSecret",),
        "yampi": ("webhookSecret",),
        "mercadopago": ("webhookSecret",),
    }


def test_captured_deliveries_pass_with_their_own_token(body: Callable[[str], bytes]) -> None:
    assert hotmart.verify(body("hotmart/SWITCH_PLAN.mock.json"), {}, {}, {"hottok": "FAKE_HOTTOK"})
    form = body("hotmart/v1.0.0_form.approved.reconstructed.form.txt")
    assert hotmart.verify(form, {}, {}, {"hottok": "FAKE_HOTTOK"})
    assert perfectpay.verify(body("perfectpay/2_approved.json"), {}, {}, {"token": "0" * 32})
    assert braip.verify(body("braip/ABANDONO.json"), {}, {}, {"basicAuthentication": "0" * 40})
