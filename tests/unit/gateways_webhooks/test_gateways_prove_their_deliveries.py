"""Who may deliver: the right secret passes in every documented form, anything else is refused and
nothing raises.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from sinal_hub.gateways import (  # fmt: skip
    appmax,
    braip,
    cakto,
    cartpanda,
    eduzz,
    hotmart,
    kirvano,
    kiwify,
    lastlink,
    mercadopago,
    monetizze,
    pagbank,
    perfectpay,
    pushinpay,
    registry,
    shopify,
    stripe,
    syncpay,
    ticto,
    yampi,
)

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
        assert hotmart.verify(
            b"hottok=in-the-body&transaction=HP1", {}, {}, {"hottok": "in-the-body"}
        )

    def test_a_body_does_not_repair_a_wrong_header(self) -> None:
        assert not hotmart.verify(
            self.RAW, {"x-hotmart-hottok": "wrong"}, {}, {"hottok": "in-the-body"}
        )

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
        return (
            b'{"url":"https://x", "signature" : "'
            + signature.encode()
            + b'", "order" :  '
            + self.ORDER
            + b"\n}"
        )

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
        assert (
            kiwify.signature_form(self.wrapped(sha1(self.ORDER)), {}, {"token": TOKEN}) == "wrapper"
        )

    def test_the_order_written_anew_is_not_what_was_signed(self) -> None:
        again = json.dumps(json.loads(self.ORDER)).encode()
        assert not kiwify.verify(self.wrapped(sha1(again)), {}, {}, {"token": TOKEN})

    def test_a_signed_order_does_not_vouch_for_another(self) -> None:
        forged = (
            b'{"order": {"order_id":"2","order_status":"paid"}, "signature": "'
            + sha1(self.ORDER).encode()
            + b'"}'
        )
        assert not kiwify.verify(forged, {}, {}, {"token": TOKEN})

    def test_of_two_orders_in_one_body_the_read_one_is_the_verified_one(self) -> None:
        forged = (
            b'{"order_id":"2","order":'
            + self.ORDER
            + b',"order":{"order_id":"2","order_status":"paid"}}'
        )
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

    def verify(
        self,
        headers: dict[str, str],
        *,
        raw: bytes = RAW,
        secret: str = "whsec_a",
        now: float = NOW,
    ) -> bool:
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

    @pytest.mark.parametrize(
        ("age", "passes"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
    )
    def test_tolerance_of_300_seconds(self, age: int, passes: bool) -> None:
        assert self.verify(stripe_header(self.RAW, at=NOW - age)) is passes

    def test_the_stamp_is_signed_too(self) -> None:
        old = stripe_header(self.RAW, at=NOW - 900)["stripe-signature"]
        assert not self.verify(
            {"stripe-signature": old.replace(f"t={int(NOW - 900)}", f"t={int(NOW)}")}
        )

    def test_a_changed_body(self) -> None:
        assert not self.verify(stripe_header(self.RAW), raw=self.RAW + b" ")

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "t=",
            "v1=00",
            "t=x,v1=00",
            "t=1,t=2,v1=00",
            f"t={int(NOW)}",
            f"t={int(NOW)},v1=",
            "t=²,v1=é",
        ],
    )
    def test_malformed_headers(self, header: str) -> None:
        assert not self.verify({"stripe-signature": header})

    def test_only_v1_counts(self) -> None:
        header = stripe_header(self.RAW)["stripe-signature"].replace("v1=", "v0=")
        assert not self.verify({"stripe-signature": header})

    def test_without_secret(self) -> None:
        assert not stripe.verify(
            self.RAW, stripe_header(self.RAW, key=""), {}, {"webhookSecret": ""}, now=NOW
        )
        assert not stripe.verify(self.RAW, stripe_header(self.RAW, key=""), {}, {}, now=NOW)


@pytest.mark.parametrize(
    ("module", "field", "key"),
    [(perfectpay, "token", "token"), (braip, "basic_authentication", "basicAuthentication")],
)
class TestSecretInTheBody:
    def test_the_right_one(self, module: Any, field: str, key: str) -> None:
        assert module.verify(json.dumps({field: "s3cret"}).encode(), {}, {}, {key: "s3cret"})
        assert module.verify(f"{field}=s3cret".encode(), {}, {}, {key: "s3cret"})

    @pytest.mark.parametrize(
        "body", [b"", b"{}", b"[]", b"<xml/>", b'{"token":null,"basic_authentication":{}}']
    )
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


def hmac256(message: bytes, key: str) -> bytes:
    return hmac.new(key.encode(), message, hashlib.sha256).digest()


@pytest.mark.parametrize(
    ("module", "field", "key"),
    [
        (cakto, "secret", "secret"),
        (monetizze, "chave_unica", "chaveUnica"),
        (ticto, "token", "token"),
    ],
)
class TestMoreSecretsInTheBody:
    def test_the_right_one_and_no_other(self, module: Any, field: str, key: str) -> None:
        body = json.dumps({field: "s3cret"}).encode()
        assert module.verify(body, {}, {}, {key: "s3cret"})
        assert module.verify(body, {}, {}, {key: "old\ns3cret"})
        for secret in ({}, {key: ""}, {key: "other"}):
            assert not module.verify(body, {}, {}, secret)
        for other in (
            b"",
            b"{}",
            b"[]",
            json.dumps({field: None}).encode(),
            json.dumps({field: {}}).encode(),
        ):
            assert not module.verify(other, {}, {}, {key: "s3cret"})


@pytest.mark.parametrize(
    ("module", "name"), [(pushinpay, "x-pushinpay-token"), (lastlink, "x-lastlink-token")]
)
class TestTokenInAHeader:
    def test_the_right_one_and_no_other(self, module: Any, name: str) -> None:
        assert module.verify(b"{}", {name: "tok"}, {}, {"token": "tok"})
        assert module.verify(b"{}", {name.upper(): "tok"}, {}, {"token": "tok"})
        for headers in ({}, {name: ""}, {name: "TOK"}, {"authorization": "tok"}):
            assert not module.verify(b'{"token":"tok"}', headers, {}, {"token": "tok"})
        assert not module.verify(b"{}", {name: ""}, {}, {"token": ""})


@pytest.mark.parametrize(
    ("module", "name"), [(shopify, "x-shopify-hmac-sha256"), (yampi, "x-yampi-hmac-sha256")]
)
class TestSignedInBase64:
    RAW = b'{ "id": 1, "name": "\xc3\xa7" }'

    def test_the_raw_body(self, module: Any, name: str) -> None:
        given = base64.b64encode(hmac256(self.RAW, "whsec")).decode()
        assert module.verify(self.RAW, {name: given}, {}, {"webhookSecret": "whsec"})
        assert module.verify(self.RAW, {name: given}, {}, {"webhookSecret": "old\nwhsec"})
        assert not module.verify(self.RAW + b" ", {name: given}, {}, {"webhookSecret": "whsec"})
        for wrong in ("", given[:-4], given.lower(), hmac256(self.RAW, "whsec").hex(), "é"):
            assert not module.verify(self.RAW, {name: wrong}, {}, {"webhookSecret": "whsec"})

    def test_an_empty_secret_proves_nothing(self, module: Any, name: str) -> None:
        given = base64.b64encode(hmac256(self.RAW, "")).decode()
        for secret in ({}, {"webhookSecret": ""}, {"webhookSecret": " \n"}):
            assert not module.verify(self.RAW, {name: given}, {}, secret)


class TestEduzz:
    OLD = b'{"origin":"org","api_key":"key","trans_cod":1,"trans_status":3}'

    def test_a_signature_of_the_raw_body(self) -> None:
        raw = b'{"event":"myeduzz.invoice_paid"}'
        given = hmac256(raw, "s").hex()
        assert eduzz.verify(raw, {"x-signature": given}, {}, {"secret": "s"})
        assert eduzz.verify(raw, {"X-Signature": given.upper()}, {}, {"secret": "s"})
        assert not eduzz.verify(raw + b" ", {"x-signature": given}, {}, {"secret": "s"})
        assert not eduzz.verify(raw, {}, {}, {"secret": "s"})

    def test_the_older_keys(self) -> None:
        assert eduzz.verify(self.OLD, {}, {}, {"secret": "org"})
        assert eduzz.verify(self.OLD, {}, {}, {"secret": "key"})
        assert eduzz.verify(b"origin=org&trans_cod=1&trans_status=3", {}, {}, {"secret": "org"})
        assert not eduzz.verify(self.OLD, {}, {}, {"secret": "other"})

    def test_a_key_in_the_body_does_not_repair_a_wrong_signature(self) -> None:
        assert not eduzz.verify(self.OLD, {"x-signature": "00"}, {}, {"secret": "org"})

    def test_a_key_in_a_body_of_v3_proves_nothing(self) -> None:
        raw = b'{"event":"myeduzz.invoice_paid","data":{"id":"1"},"origin":"org"}'
        assert not eduzz.verify(raw, {}, {}, {"secret": "org"})


class TestMercadoPago:
    RAW = b'{"type":"payment","data":{"id":"123"}}'
    SECRET: ClassVar[dict[str, str]] = {"webhookSecret": "s"}

    def headers(self, manifest: str, *, request: str | None = "req-1") -> dict[str, str]:
        given = {"x-signature": f"ts=1704908010,v1={hmac256(manifest.encode(), 's').hex()}"}
        return given | ({"x-request-id": request} if request else {})

    def verify(
        self,
        raw: bytes,
        headers: dict[str, str],
        query: dict[str, str],
        *,
        now: float = 1_704_908_060,
    ) -> bool:
        return mercadopago.verify(raw, headers, query, self.SECRET, now=now)

    @pytest.mark.parametrize(
        ("stamp", "taken"),
        [("1704908010", True), ("1704908010123", True), ("1", False), ("x", False)],
    )
    def test_a_stamp_may_be_a_day_off_in_seconds_or_milliseconds(
        self, stamp: str, taken: bool
    ) -> None:
        signature = hmac256(f"id:123;request-id:req-1;ts:{stamp};".encode(), "s").hex()
        headers = {"x-signature": f"ts={stamp},v1={signature}", "x-request-id": "req-1"}
        assert self.verify(self.RAW, headers, {}) is taken
        assert not self.verify(
            self.RAW, headers, {}, now=1_704_908_010 + mercadopago.TOLERANCE_S + 1
        )

    def test_the_manifest_of_id_request_and_time(self) -> None:
        headers = self.headers("id:123;request-id:req-1;ts:1704908010;")
        assert self.verify(self.RAW, headers, {"data.id": "123"})
        assert self.verify(self.RAW, headers, {})  # the body's id, if the URL has none
        assert not self.verify(self.RAW, headers, {"data.id": "124"})
        assert not self.verify(self.RAW, headers | {"x-request-id": "req-2"}, {})

    def test_letters_of_an_id_are_signed_in_lower_case(self) -> None:
        headers = self.headers("id:abc1;request-id:req-1;ts:1704908010;")
        assert self.verify(b"{}", headers, {"data.id": "ABC1"})

    def test_without_a_request_id(self) -> None:
        headers = self.headers("id:123;ts:1704908010;", request=None)
        assert self.verify(self.RAW, headers, {"data.id": "123"})

    @pytest.mark.parametrize("given", ["", "ts=", "v1=00", "ts=1,v1=", "ts=1;v1=00", "é"])
    def test_malformed_headers(self, given: str) -> None:
        assert not self.verify(self.RAW, {"x-signature": given}, {"data.id": "123"})

    def test_a_signature_that_covers_no_id_is_none(self) -> None:
        headers = self.headers("request-id:req-1;ts:1704908010;")
        assert not self.verify(b"{}", headers, {})


class TestPagBank:
    RAW = b'{"id":"ORDE_1","charges":[]}'

    def test_the_token_before_the_raw_body(self) -> None:
        given = hashlib.sha256(b"tok-" + self.RAW).hexdigest()
        assert pagbank.verify(self.RAW, {"x-authenticity-token": given}, {}, {"token": "tok"})
        assert not pagbank.verify(
            self.RAW + b" ", {"x-authenticity-token": given}, {}, {"token": "tok"}
        )
        assert not pagbank.verify(self.RAW, {"x-authenticity-token": given}, {}, {"token": "other"})
        unsigned = hashlib.sha256(b"-" + self.RAW).hexdigest()
        assert not pagbank.verify(self.RAW, {"x-authenticity-token": unsigned}, {}, {"token": ""})

    def test_an_order_without_signature_is_refused(self) -> None:
        assert not pagbank.verify(self.RAW, {}, {}, {"token": "tok"})

    def test_an_older_notice_is_only_a_code_and_never_enough_on_a_shared_address(self) -> None:
        notice = (
            b"notificationCode=766B9C-AD4B044B04DA-77742F5FA653-E1AB24&notificationType=transaction"
        )
        assert pagbank.verify(notice, {}, {}, {"token": "tok"})
        assert not pagbank.verify(notice, {}, {}, {})
        assert not pagbank.verify(notice, {"x-authenticity-token": "00"}, {}, {"token": "tok"})
        assert pagbank.AUTHENTICATES is False  # so that the URL's token is always asked for


@pytest.mark.parametrize("module", [kirvano, syncpay, cartpanda])
def test_what_proves_nothing_says_so(module: Any) -> None:
    assert module.SECRET_KEYS == () and module.AUTHENTICATES is False
    assert module.verify(b"{}", {}, {}, {})
