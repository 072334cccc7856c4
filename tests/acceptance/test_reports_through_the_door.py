"""What real senders send, through the real doors of one platform: the API and what Meta gets say
what is right.

Each folder of `tests/fixtures/reports` is a case; `expected.json` there says what is right and why.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sinal_hub import identity

from tests.support.reports import BARE, FOLDER, SKIPPING, Stage, digest, staged

# Cases that are known to be wrong.
LEFT_OUT: list[str] = []

Check = Callable[[Stage], None]
CHECKS: dict[str, Check] = {}
CASES = sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir())
FBCLID = "IwAR0abcDEF_ghi-123"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("reports")) as running:
        yield running


@pytest.mark.parametrize("case", [case for case in CASES if case not in LEFT_OUT])
def test_a_report_is_read_as_it_was_meant(stage: Stage, case: str) -> None:
    CHECKS[case](stage)


def test_no_case_is_without_a_check() -> None:
    assert sorted(CHECKS) == CASES
    assert set(LEFT_OUT) <= set(CASES)


def check(case: str) -> Callable[[Check], Check]:
    """Registers the check of a case."""

    def kept(function: Check) -> Check:
        CHECKS[case] = function
        return function

    return kept


def expected(case: str) -> Any:
    return json.loads((FOLDER / case / "expected.json").read_text())["expected"]


def ended(event: dict[str, Any]) -> tuple[str, str | None]:
    return event["outcome"]["state"], event["outcome"]["reason"]


def hashes(sent: dict[str, Any], field: str) -> list[str]:
    """Digests of a field of `user_data`, which Meta takes alone or as a list."""
    value = sent["user_data"].get(field, [])
    return value if isinstance(value, list) else [value]


def contents(sent: dict[str, Any]) -> list[tuple[str, int, str]]:
    """Id, quantity and price of one unit of what was bought."""
    return [
        (one["id"], one["quantity"], f"{one['item_price']:.2f}")
        for one in sent["custom_data"]["contents"]
    ]


# Door


@check("webhook-url-with-a-slash")
def _(stage: Stage) -> None:
    raw = stage.body("hotmart-price-without-currency", "PURCHASE_APPROVED.json").replace(
        b"HP1700000051", b"HP1700000090"
    )
    plain = stage.post("hotmart", raw)
    for after in ("/", "//"):
        again = stage.post("hotmart", raw, after=after)
        assert (again.status_code, again.json()["events"][0]["id"]) == (
            202,
            plain.json()["events"][0]["id"],
        )


@check("eduzz-and-mercadopago-want-200")
def _(stage: Stage) -> None:
    eduzz = stage.post("eduzz", stage.body("eduzz-nine-is-a-duplicate", "9.json"))
    notice = json.dumps(
        {"action": "payment.updated", "type": "payment", "data": {"id": "7770001"}, "user_id": 1}
    )
    mercadopago = stage.post("mercadopago", notice.encode())
    assert (eduzz.status_code, mercadopago.status_code) == (200, 200)
    assert eduzz.json()["events"] and mercadopago.json()["events"]


@check("kiwify-two-signatures-in-the-url")
def _(stage: Stage) -> None:
    raw = stage.body("kiwify-two-signatures-in-the-url", "order.json")
    right = hmac.new(b"demo-kiwify-token", raw, hashlib.sha1).hexdigest()
    assert stage.post("kiwify", raw, query=f"signature={right}&signature=abc").status_code == 401
    (event,) = stage.settled(stage.post("kiwify", raw, query=f"signature=abc&signature={right}"))
    assert event["status"] == "approved"


@check("mercadopago-id-in-its-own-case")
def _(stage: Stage) -> None:
    raw = stage.body("mercadopago-id-in-its-own-case", "order.json")
    for request, signed in (("own", "ORD01JABCDEF0002"), ("lower", "ord01jabcdef0002")):
        stamp = str(int(time.time()))
        manifest = f"id:{signed};request-id:{request};ts:{stamp};"
        proof = hmac.new(b"demo-mercadopago", manifest.encode(), hashlib.sha256).hexdigest()
        headers = {"x-signature": f"ts={stamp},v1={proof}", "x-request-id": request}
        answer = stage.post(
            "mercadopago", raw, headers=headers, query="data.id=ORD01JABCDEF0002&type=order"
        )
        assert answer.status_code == 200, signed


@check("form-in-latin-1")
def _(stage: Stage) -> None:
    (event,) = stage.report("form-in-latin-1", "hotmart.approved.form.txt", "hotmart")
    sent = stage.sent(event)
    for field, clear in expected("form-in-latin-1").items():
        assert hashes(sent, field) == [digest(clear)], field


@check("eduzz-origin-secret")
def _(stage: Stage) -> None:
    answer = stage.post("eduzz", stage.body("eduzz-origin-secret", "invoice.json"))
    assert answer.status_code == expected("eduzz-origin-secret")["status"]
    (event,) = stage.settled(answer)
    assert event["status"] == "approved"


@check("eduzz-older-abandonment")
def _(stage: Stage) -> None:
    (event,) = stage.report("eduzz-older-abandonment", "abandonment.json", "eduzz")
    assert (event["status"], event["order_id"]) == ("initiate_checkout", None)
    assert {"em", "ph", "fn", "ln"} <= set(stage.sent(event)["user_data"])


# What is said of a failure


@check("dead-letter-names-the-wrong-field")
def _(stage: Stage) -> None:
    told = json.loads(stage.body("dead-letter-names-the-wrong-field", "PURCHASE_APPROVED.json"))
    del told["data"]["commissions"]  # where its currency is read by now
    (event,) = stage.settled(stage.post("hotmart", json.dumps(told).encode(), integration=BARE))
    assert (event["value"], event["currency"]) == ("150.60", None)
    assert ended(event) == ("dead", "rejected")
    said = " ".join(stage.explained(event["order_id"]).split())
    assert "custom_data.currency is missing" in said and "custom_data.value is missing" not in said
    assert "Sinal kept it back" in said and "Meta refuses this very event" not in said
    assert "`value: {currency: BRL}`" in said
    stage.declare({"value": {"currency": "BRL"}})
    assert stage.replayed(event["id"], until="delivered")["outcome"]["state"] == "delivered"
    assert stage.sent(event)["custom_data"]["currency"] == "BRL"


@check("explain-mixes-two-gateways")
def _(stage: Stage) -> None:
    case = "explain-mixes-two-gateways"
    (one,) = stage.report(case, "1.monetizze.json", "monetizze")
    (two,) = stage.report(case, "2.eduzz.json", "eduzz")
    told = stage.explained("1001")
    first, _, second = told.partition("\n\nOrder 1001")
    if "from eduzz" in first:
        one, two = two, one
    assert one["id"] in first and two["id"] in second
    assert two["id"] not in first and one["id"] not in second
    assert {f"from {name}" in told for name in ("monetizze", "eduzz")} == {True}


# Money


@check("hotmart-price-without-currency")
def _(stage: Stage) -> None:
    (event,) = stage.report("hotmart-price-without-currency", "PURCHASE_APPROVED.json", "hotmart")
    assert (event["value"], event["currency"], event["outcome"]["state"]) == (
        "150.60",
        "BRL",
        "delivered",
    )


@check("kirvano-thousands-without-cents")
def _(stage: Stage) -> None:
    (event,) = stage.report("kirvano-thousands-without-cents", "SALE_APPROVED.json", "kirvano")
    custom = stage.sent(event)["custom_data"]
    assert (event["value"], custom["value"], custom["currency"]) == ("1169.00", 1169.0, "BRL")


@check("monetizze-bumps")
def _(stage: Stage) -> None:
    (event,) = stage.report("monetizze-bumps", "2.json", "monetizze")
    assert event["value"] == "268.90"
    assert contents(stage.sent(event)) == [("188838", 1, "199.00"), ("188839", 1, "69.90")]


@check("shopify-discounted-line")
def _(stage: Stage) -> None:
    (event,) = stage.report("shopify-discounted-line", "orders_paid.json", "shopify")
    sent = stage.sent(event)
    assert sent["custom_data"]["value"] == 80.0
    assert contents(sent) == [("777", 2, "40.00")]


@check("orders-that-cost-nothing")
def _(stage: Stage) -> None:
    for file, gateway in (("1.shopify.json", "shopify"), ("2.kiwify.json", "kiwify")):
        (event,) = stage.report("orders-that-cost-nothing", file, gateway)
        assert ended(event) == ("withheld", "policy"), gateway


# Stripe


def purchases(stage: Stage, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """The Purchases that Meta was sent of these events."""
    delivered = [event for event in events if event["outcome"]["state"] == "delivered"]
    return [sent for event in delivered if (sent := stage.sent(event))["event_name"] == "Purchase"]


@check("stripe-intent-of-an-invoice")
def _(stage: Stage) -> None:
    case = "stripe-intent-of-an-invoice"
    (invoice,) = stage.report(case, "1.invoice.paid.json", "stripe")
    (intent,) = stage.report(case, "2.payment_intent.succeeded.json", "stripe")
    assert len(purchases(stage, invoice, intent)) == 1
    assert intent["status"] == "ignored" or intent["order_id"] == "in_A0001"


@check("stripe-refund-of-an-invoice")
def _(stage: Stage) -> None:
    case = "stripe-refund-of-an-invoice"
    for file in ("1.invoice.paid.json", "2.invoice_payment.paid.json", "3.charge.refunded.json"):
        stage.report(case, file, "stripe")
    told = stage.order("in_F0001", "stripe", events=2)
    assert [event["status"] for event in told if event["status"] in ("approved", "refunded")] == [
        "approved",
        "refunded",
    ]


@check("stripe-trial-is-no-purchase")
def _(stage: Stage) -> None:
    (event,) = stage.report(
        "stripe-trial-is-no-purchase", "checkout.session.completed.json", "stripe"
    )
    assert (event["status"], event["outcome"]["state"]) == ("subscription_changed", "withheld")


@check("stripe-first-charge-after-a-trial")
def _(stage: Stage) -> None:
    case = "stripe-first-charge-after-a-trial"
    (trial,) = stage.report(case, "1.trial.json", "stripe", integration=SKIPPING)
    (first,) = stage.report(case, "2.first_charge.json", "stripe", integration=SKIPPING)
    assert (trial["outcome"]["state"], first["outcome"]["state"], first["value"]) == (
        "withheld",
        "delivered",
        "49.90",
    )
    assert "renewal" not in stage.sent(first)["custom_data"]


# Shopify


@check("shopify-refund-in-part")
def _(stage: Stage) -> None:
    case = "shopify-refund-in-part"
    told = [
        event
        for file in ("1.orders_paid.json", "2.refunds_create.json", "3.orders_updated.json")
        for event in stage.report(case, file, "shopify")
    ]
    assert [event["status"] for event in told] == [
        "approved",
        "partially_refunded",
        "partially_refunded",
    ]
    assert "out_of_order" not in [event["outcome"]["reason"] for event in told]


@check("shopify-renewal")
def _(stage: Stage) -> None:
    (event,) = stage.report("shopify-renewal", "orders_paid.json", "shopify")
    assert stage.sent(event)["custom_data"]["renewal"] is True


@check("shopify-test-button")
def _(stage: Stage) -> None:
    headers = {"X-Shopify-Topic": "checkouts/create", "X-Shopify-Test": "true"}
    (event,) = stage.report(
        "shopify-test-button", "checkouts_create.json", "shopify", headers=headers
    )
    assert ended(event) == ("withheld", "test")


@check("shopify-till")
def _(stage: Stage) -> None:
    (event,) = stage.report("shopify-till", "orders_paid.json", "shopify")
    sent = stage.sent(event)
    assert sent["action_source"] in ("physical_store", "system_generated")
    assert "client_user_agent" not in sent["user_data"] and "event_source_url" not in sent


# Other gateways: what happened, and to whom


@check("address-with-a-port")
def _(stage: Stage) -> None:
    (event,) = stage.report("address-with-a-port", "kiwify.json", "kiwify")
    assert stage.sent(event)["user_data"]["client_ip_address"] == "200.147.3.12"


@check("cakto-period-inside-the-subscription")
def _(stage: Stage) -> None:
    (event,) = stage.report(
        "cakto-period-inside-the-subscription", "purchase_approved.json", "cakto"
    )
    assert stage.sent(event)["custom_data"]["renewal"] is True


@check("eduzz-nine-is-a-duplicate")
def _(stage: Stage) -> None:
    (event,) = stage.report("eduzz-nine-is-a-duplicate", "9.json", "eduzz")
    assert event["status"] in ("canceled", "ignored")


@check("eduzz-refund-in-part")
def _(stage: Stage) -> None:
    (event,) = stage.report("eduzz-refund-in-part", "7.json", "eduzz")
    assert event["status"] == "partially_refunded"


@check("eduzz-utm-in-camel-case")
def _(stage: Stage) -> None:
    (event,) = stage.report("eduzz-utm-in-camel-case", "cart_abandonment.json", "eduzz")
    assert event["status"] == "initiate_checkout"
    (sale,) = parsed("eduzz", stage.body("eduzz-utm-in-camel-case", "cart_abandonment.json"))
    for name, value in expected("eduzz-utm-in-camel-case")["tracking"].items():
        assert getattr(sale.tracking, name) == value, name


@check("mercadopago-test-user")
def _(stage: Stage) -> None:
    stage.pays("12345678901", stage.body("mercadopago-test-user", "payment.json"))
    notice = {
        "action": "payment.updated",
        "type": "payment",
        "data": {"id": "12345678901"},
        "user_id": 1,
        "id": 5,
    }
    assert stage.post("mercadopago", json.dumps(notice).encode()).status_code == 200
    (sale,) = [
        event
        for event in stage.order("12345678901", "mercadopago", events=2)
        if event["status"] == "approved"
    ]
    assert ended(sale) == ("withheld", "test")


@check("monetizze-test-button")
def _(stage: Stage) -> None:
    (event,) = stage.report("monetizze-test-button", "2.json", "monetizze")
    assert ended(event) == ("withheld", "test")


@check("perfectpay-address-and-browser")
def _(stage: Stage) -> None:
    (event,) = stage.report("perfectpay-address-and-browser", "2_approved.json", "perfectpay")
    sent = stage.sent(event)
    assert sent["action_source"] == "website"
    assert sent["user_data"]["client_ip_address"] == "2804:214:c003:ca1::1"
    assert sent["user_data"]["client_user_agent"].startswith("Mozilla/5.0 (Windows NT 10.0;")


@check("perfectpay-charges-made")
def _(stage: Stage) -> None:
    (event,) = stage.report("perfectpay-charges-made", "3rd_charge.json", "perfectpay")
    assert stage.sent(event)["custom_data"]["renewal"] is True


@check("ticto-address-that-is-made-up")
def _(stage: Stage) -> None:
    (event,) = stage.report("ticto-address-that-is-made-up", "authorized.json", "ticto")
    assert not {"ct", "st", "zp"} & set(stage.sent(event)["user_data"])


@check("ticto-trial-words")
def _(stage: Stage) -> None:
    for file in ("trial_started.json", "trial_ended.json"):
        (event,) = stage.report("ticto-trial-words", file, "ticto")
        assert (event["status"], event["outcome"]["state"]) == (
            "subscription_changed",
            "withheld",
        ), file


@check("words-that-are-new")
def _(stage: Stage) -> None:
    for file, status in expected("words-that-are-new").items():
        (event,) = stage.report("words-that-are-new", file, "kirvano")
        assert event["status"] == status


@check("yampi-names-its-zone")
def _(stage: Stage) -> None:
    happened = set()
    for at, file in enumerate(("sp.json", "utc.json", "manaus.json")):
        raw = stage.body("yampi-names-its-zone", file).replace(b"102855369", b"10285537%d" % at)
        (event,) = stage.settled(stage.post("yampi", raw))
        happened.add(event["occurred_at"])
        assert event["occurred_at"][10:19] == "T09:13:20", file
    assert len(happened) == 1


# Pages


@check("external-id-undefined-joins-strangers")
def _(stage: Stage) -> None:
    case = "external-id-undefined-joins-strangers"
    view = json.loads(stage.body(case, "1.pageview.json"))
    sale = stage.body(case, "2.cartpanda.order.paid.json").decode()
    for at, word in enumerate(("undefined", *expected(case)["also"])):
        stage.settled(stage.track("pageview", view | {"external_id": word}))
        raw = sale.replace('"cp-1"', f'"cp-{at}"').replace("undefined", word)
        (event,) = stage.settled(stage.post("cartpanda", raw.encode()))
        assert event["match"]["decision"] == "unmatched", word
        assert not {"external_id", "fbc"} & set(stage.sent(event)["user_data"]), word


@check("placeholder-words-as-names")
def _(_stage: Stage) -> None:
    for line in (FOLDER / "placeholder-words-as-names" / "values.jsonl").read_text().splitlines():
        one = json.loads(line)
        assert identity.normalise(one["field"], one["value"], country="BR") is None, one


@check("event-id-as-a-number")
def _(stage: Stage) -> None:
    answer = stage.track("lead", json.loads(stage.body("event-id-as-a-number", "lead.json")))
    assert (answer.status_code, answer.json()["events"][0]["event_id"]) == (202, "123456")


@check("quantity-as-text")
def _(stage: Stage) -> None:
    (event,) = stage.settled(
        stage.track("initiate_checkout", json.loads(stage.body("quantity-as-text", "checkout.json"))
                    | {"user": {"email": "q@example.com"}})
    )  # fmt: skip
    assert contents(stage.sent(event)) == [("1", 2, "19.90")]


def campaign(stage: Stage, url: str, order: str) -> dict[str, Any]:
    """What the visit of a link brought: the words of its campaign, and its fbc as Meta gets it."""
    answer = stage.track("click", {"funnel": "curso", "url": url})
    assert answer.status_code == 202, answer.text
    stage.settled(answer)
    event = stage.sold(answer.json()["events"][0]["click_id"], order)
    assert event["match"]["decision"] == "match", url
    utm = {name: value for name, value in event["match"]["click"]["utm"].items() if value}
    return utm | {"fbc": stage.sent(event)["user_data"].get("fbc", "").rpartition(".")[2] or None}


@check("links-that-people-broke")
def _(stage: Stage) -> None:
    links = (FOLDER / "links-that-people-broke" / "urls.txt").read_text().split()
    escaped, twice, blank, fragment = [
        campaign(stage, url, f"HP16000000{at}") for at, url in enumerate(links)
    ]
    assert escaped == {"source": "fb", "medium": "cpc", "campaign": "c1", "fbc": FBCLID}
    assert twice == {"source": "fb", "fbc": FBCLID}
    assert blank["fbc"] == FBCLID
    assert {"source": "fb", "medium": "cpc"}.items() <= fragment.items()


@check("page-script-takes-the-first-fbclid-only")
def _(stage: Stage) -> None:
    links = (FOLDER / "page-script-takes-the-first-fbclid-only" / "urls.txt").read_text().split()
    empty_first, source = [campaign(stage, url, f"HP16100000{at}") for at, url in enumerate(links)]
    assert (empty_first["fbc"], source["source"]) == (FBCLID, "fb")


def parsed(gateway: str, raw: bytes) -> list[Any]:
    """The sales of a body, as the edge's adapter reads it."""
    from sinal_hub.gateways import registry

    return list(registry()[gateway].parse(raw))
