"""Every captured delivery becomes the sale that a person reads in it.

Expected values are read from the payloads and the gateways' documented rules: naive times plus
three hours (Brazil has had no daylight saving time since 2019), cents over a hundred, `price`
without instalment interest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sinal_hub.model.sale import Sale

ROOT = Path(__file__).parents[2] / "fixtures" / "gateways"

# file: status, order, parent, value, currency, method, installments, occurred_at, test, renewal,
# click, product, offer
EXPECTED: dict[str, tuple[Any, ...]] = {
    "hotmart/CLUB_FIRST_ACCESS.json": (
        "ignored", None, None, None, None, None, None, "2025-04-30T17:16:34Z", False, False, None, "1234567", None),
    "hotmart/PURCHASE_APPROVED.origin_src_sck.json": (
        "approved", "HP0000000001", None, "124.75", "BRL", "credit_card", 1, "2025-05-10T13:27:56Z", False, True,
        "vendedor-x", "1234567", "v3gy3sekDRP"),
    # full_price with interest is 1194
    "hotmart/PURCHASE_APPROVED.origin_xcod.reconstructed.json": (
        "approved", "HP0000000001", None, "939.81", "BRL", "credit_card", 12, "2025-05-06T19:54:09Z", False, True,
        "live-001", "1234567", "ffwqvtyv"),
    "hotmart/PURCHASE_APPROVED.panel_test_button_2025.json": (
        "approved", "HP16015479281022", "HP02316330308193", "1500.00", "BRL", "credit_card", 12,
        "2017-11-27T11:49:06Z", True, False, None, "0", "test"),
    "hotmart/PURCHASE_APPROVED.pix.json": (
        "approved", "HP0000000001", None, "1497.00", "BRL", "pix", 1, "2025-04-29T18:50:27Z", False, False, None,
        "1234567", "tdl7nakn"),
    "hotmart/PURCHASE_APPROVED.renewal_recurrence.json": (
        "approved", "HP0000000001", None, "124.75", "BRL", "credit_card", 1, "2025-05-10T13:27:56Z", False, True,
        "vendedor-x", "1234567", "v3gy3sekDRP"),
    "hotmart/PURCHASE_BILLET_PRINTED.boleto.json": (
        "pending", "HP0000000001", None, "997.00", "BRL", "boleto", 1, "2025-05-01T15:18:58Z", False, True, "rec-v",
        "1234567", "vlk6o3mj"),
    "hotmart/PURCHASE_CANCELED.card_refused.json": (
        "refused", "HP0000000001", None, "1497.00", "BRL", "credit_card", 4, "2025-04-30T20:06:54Z", False, False,
        None, "1234567", "tdl7nakn"),
    "hotmart/PURCHASE_CHARGEBACK.json": (  # full_price with interest is 2626.56
        "chargeback", "HP0000000001", None, "1997.00", "BRL", "credit_card", 12, "2025-05-20T20:40:19Z", False, False,
        None, "1234567", "0rgmjkb1"),
    "hotmart/PURCHASE_CHARGEBACK.panel_test_button_2025.json": (
        "chargeback", "HP16015479281022", "HP02316330308193", "1500.00", "BRL", "credit_card", 12,
        "2025-11-15T23:02:25Z", True, False, None, "0", "test"),
    "hotmart/PURCHASE_COMPLETE.json": (  # approved on the 14th, its guarantee ended on the 30th
        "completed", "HP0000000001", None, "158.49", "BRL", "credit_card", 12, "2025-04-30T04:20:12Z", False, True,
        "grupo-dia-5-ea-vitalicio", "1234567", "37g9evfj"),
    "hotmart/PURCHASE_DELAYED.card.json": (
        "overdue", "HP0000000001", None, "158.49", "BRL", "credit_card", 12, "2025-05-09T01:11:34Z", False, True,
        "email-dia-4-ea-vitalicio", "1234567", "37g9evfj"),
    "hotmart/PURCHASE_DELAYED.pix.json": (
        "overdue", "HP0000000001", None, "997.00", "BRL", "pix", 1, "2025-04-30T12:56:15Z", False, True,
        "org-sales-page-vd", "1234567", "bm2k4zqm"),
    "hotmart/PURCHASE_EXPIRED.panel_test_button_2025.json": (
        "expired", "HP16015479281022", "HP02316330308193", "1500.00", "BRL", "credit_card", 12,
        "2025-11-15T23:02:25Z", True, False, None, "0", "test"),
    "hotmart/PURCHASE_OUT_OF_SHOPPING_CART.json": (
        "initiate_checkout", None, None, None, None, None, None, "2025-04-29T23:35:57Z", False, False, None, "1234567",
        "0rgmjkb1"),
    "hotmart/PURCHASE_OUT_OF_SHOPPING_CART.panel_test_button.json": (
        "initiate_checkout", None, None, None, None, None, None, "2026-04-07T00:10:28Z", True, False, None, "123456",
        "n82b9jqz"),
    "hotmart/PURCHASE_PROTEST.json": (
        "refund_requested", "HP0000000001", None, "1997.00", "BRL", "credit_card", 1, "2025-04-29T22:43:39Z", False,
        False, None, "1234567", "0rgmjkb1"),
    "hotmart/PURCHASE_PROTEST.panel_test_button_2025.json": (
        "refund_requested", "HP16015479281022", "HP02316330308193", "1500.00", "BRL", "credit_card", 12,
        "2025-11-15T23:02:25Z", True, False, None, "0", "test"),
    "hotmart/PURCHASE_REFUNDED.json": (
        "refunded", "HP0000000001", None, "997.00", "BRL", "credit_card", 12, "2025-05-03T03:21:39Z", False, True,
        None, "1234567", "kdm48q1t"),
    "hotmart/SUBSCRIPTION_CANCELLATION.json": (
        "subscription_canceled", None, None, None, None, None, None, "2025-04-29T17:33:38Z", False, False, None,
        "1234567", None),
    "hotmart/SWITCH_PLAN.mock.json": (
        "subscription_changed", None, None, None, None, None, None, "2025-04-29T17:33:38Z", False, False, None, None,
        None),
    "hotmart/UPDATE_SUBSCRIPTION_CHARGE_DATE.json": (
        "subscription_changed", None, None, None, None, None, None, "2025-05-07T22:48:14Z", False, False,
        None, None, "kb7r7c54"),
    "hotmart/v1.0.0_form.approved.reconstructed.form.txt": (
        "approved", "HP00000000000001", None, "147.00", "BRL", "credit_card", 1, "2022-07-22T18:14:35Z", False, False,
        None, "123456", "offcode1"),
    "hotmart/v1.0.0_form.approved.reconstructed.json": (
        "approved", "HP00000000000001", None, "147.00", "BRL", "credit_card", 1, "2022-07-22T18:14:35Z", False, False,
        None, "123456", "offcode1"),
    "kiwify/carrinho_abandonado.test_button.json": (
        "initiate_checkout", "y4ml7pch72nuf1h9pb", None, None, None, None, None, "2025-02-22T19:17:49Z", True, False,
        None, "5f7e4a40-fed6-415a-93e0-cbcd8da21789", "xLQIASv"),
    "kiwify/order_approved.real_shape.reconstructed.json": (
        "approved", "63a63ee5-6182-4fc4-90cb-bf54b4088079", None, "55.58", "BRL", "credit_card", 1,
        "2026-06-08T14:53:00Z", False, False, "CLICKID_FAKE", "50b02819-45bb-4405-9729-05cdf47c63a8", "u12boOS"),
    "kiwify/order_approved.test_button.json": (
        "approved", "63a63ee5-6182-4fc4-90cb-bf54b4088079", None, "55.58", "BRL", "credit_card", 1,
        "2025-02-26T22:06:00Z", True, False, None, "50b02819-45bb-4405-9729-05cdf47c63a8", None),
    "kiwify/order_approved.wrapped.reconstructed.json": (
        "approved", "63a63ee5-6182-4fc4-90cb-bf54b4088079", None, "55.58", "BRL", "credit_card", 1,
        "2026-06-08T14:53:00Z", False, False, "CLICKID_FAKE", "50b02819-45bb-4405-9729-05cdf47c63a8", "u12boOS"),
    "kiwify/order_approved.wrapped_real_capture.json": (
        "approved", "00000000-0000-4000-8000-00000000000a", None, "1000.00", "BRL", "credit_card", 1,
        "2026-04-22T06:05:00Z", False, False, "CLICKID-0000-4a2e-9c1d-FAKE00000000",
        "00000000-0000-11ef-8000-000000000001", None),
    "kiwify/order_refunded.test_button.json": (
        "refunded", "1ff74e67-b65a-4693-851b-38a9b7d7500d", None, "81.17", "BRL", "credit_card", 1,
        "2025-02-26T22:25:00Z", True, False, None, "50343111-99e4-4dd7-9cc3-b2626ed484f0", None),
    "kiwify/pix_created.reconstructed.json": (
        "pending", "63a63ee5-6182-4fc4-90cb-bf54b4088079", None, "55.58", "BRL", "pix", 1, "2026-06-08T14:53:00Z",
        False, False, "CLICKID_FAKE", "50b02819-45bb-4405-9729-05cdf47c63a8", "u12boOS"),
    "stripe/charge.refunded.fixture.json": (
        "partially_refunded", "ch_1PgafuB7WZ01zgkWXYmPNZs8", None, "1.00", "USD", "credit_card", None,
        "2026-07-25T17:20:00Z", True, False, None, None, None),
    "stripe/checkout.session.async_payment_succeeded.reconstructed.json": (
        "approved", "pi_FAKE", None, "97.00", "BRL", None, None, "2023-03-12T22:35:40Z", True, False, "CLICKID_FAKE",
        None, None),
    "stripe/checkout.session.completed.fixture.json": (
        "approved", "pi_1PgafyB7WZ01zgkWSjxsAJo3", None, None, None, "credit_card", None, "2026-07-25T17:20:00Z",
        True, False, None, None, None),
    "stripe/customer.subscription.deleted.fixture.json": (
        "subscription_canceled", None, None, None, None, None, None, "2026-07-25T17:20:00Z", True, False, None,
        "prod_QXg1hqf4jFNsqG", "price_1PgafmB7WZ01zgkW6dKueIc5"),
    "stripe/payment_intent.succeeded.fixture.json": (
        "approved", "pi_1PgafyB7WZ01zgkWSjxsAJo3", None, "10.99", "USD", "credit_card", None, "2026-07-25T17:20:00Z",
        True, False, None, None, None),
    "stripe/refund.created.fixture.json": (
        "ignored", "ch_1PgafuB7WZ01zgkWXYmPNZs8", None, None, None, None, None, "2026-07-25T17:20:00Z", True, False,
        None, None, None),
    "perfectpay/12_precheckout.reconstructed.json": (
        "initiate_checkout", "PPCPMTB00FAKE0", None, "385.00", "BRL", "credit_card", 12, "2019-03-09T11:24:02Z",
        False, False, None, "PPPB3A07", "PPLQQ9Q9R"),
    "perfectpay/1_pending_boleto.reconstructed.json": (
        "pending", "PPCPMTB00FAKE0", None, "385.00", "BRL", "boleto", 1, "2019-03-09T11:24:02Z", False, False, None,
        "PPPB3A07", "PPLQQ9Q9R"),
    "perfectpay/2_approved.json": (
        "approved", "PPCPMTB00FAKE0", None, "385.00", "BRL", "credit_card", 12, "2019-03-09T11:25:15Z", False, False,
        None, "PPPB3A07", "PPLQQ9Q9R"),
    "perfectpay/2_approved.third_charge_2025.reconstructed.json": (
        "approved", "PPCPMTB00FAKE3", None, "47.90", "BRL", "credit_card", 1, "2025-09-25T03:30:20Z", False, True, None,
        "PPPB1", "PPLQ1"),
    "perfectpay/7_refunded.reconstructed.json": (
        "refunded", "PPCPMTB00FAKE0", None, "385.00", "BRL", "credit_card", 12, "2019-03-09T11:25:15Z", False, False,
        None, "PPPB3A07", "PPLQQ9Q9R"),
    "appmax/CanceledSubscription.json": (
        "subscription_canceled", "1", None, "466.40", "BRL", "credit_card", None, "2026-03-17T12:27:16Z", False,
        False, None, None, None),
    "appmax/ChargeSuccess.json": (
        "ignored", "1", None, None, None, None, None, "2026-03-17T12:26:49Z", False, False, None, None, None),
    "appmax/CreatedSubscription.json": (
        "subscription_changed", "1", None, "508.80", "BRL", "credit_card", None, "2026-03-17T12:26:54Z", False, False,
        None, None, None),
    "appmax/CustomerContacted.json": (
        "ignored", None, None, None, None, None, None, "2026-03-17T12:25:08Z", False, False, None, None, None),
    "appmax/CustomerCreated.json": (
        "lead", None, None, None, None, None, None, "2026-03-17T12:19:46Z", False, False, None, None, None),
    "appmax/CustomerInterested.json": (
        "initiate_checkout", None, None, None, None, None, None, "2026-03-17T12:24:25Z", False, False, None, None,
        None),
    "appmax/OrderApproved.json": (
        "approved", "1", None, "267.48", "BRL", "credit_card", None, "2026-03-17T12:25:13Z", False, False, None, None,
        None),
    "appmax/OrderApproved.two_level_flat.json": (
        "approved", "1", None, "393.26", "BRL", "credit_card", None, "2026-03-17T12:28:17Z", False, False, None, None,
        None),
    "appmax/OrderApproved.with_last_visit.reconstructed.json": (  # 385.31 less 37.31 of interest
        "approved", "3173109", "3172440", "348.00", "BRL", "credit_card", 6, "2020-01-06T18:46:48Z", False, False,
        None, "300", "5000"),
    "appmax/OrderBilletCreated.json": (
        "pending", "1", None, "307.15", "BRL", "boleto", None, "2026-03-17T12:25:24Z", False, False, None, None, None),
    "appmax/OrderBilletOverdue.json": (
        "expired", "1", None, "447.77", "BRL", "boleto", None, "2026-03-17T12:26:15Z", False, False, None, None, None),
    "appmax/OrderChargeBackInTreatment.json": (
        "chargeback", "1", None, "153.18", "BRL", "credit_card", None, "2026-03-17T12:26:25Z", False, False, None,
        None, None),
    "appmax/OrderIntegrated.json": (
        "approved", "1", None, "337.42", "BRL", "credit_card", None, "2026-03-17T12:26:10Z", False, False, None, None,
        None),
    "appmax/OrderPaid.json": (
        "approved", "1", None, "331.86", "BRL", "credit_card", None, "2026-03-17T12:25:29Z", False, False, None, None,
        None),
    "appmax/OrderPaidByPix.json": (
        "approved", "1", None, "212.22", "BRL", "pix", None, "2026-03-17T12:26:05Z", False, False, None, None, None),
    "appmax/OrderPendingIntegration.json": (
        "ignored", "1", None, None, None, None, None, "2026-03-17T12:25:33Z", False, False, None, None, None),
    "appmax/OrderPixCreated.json": (
        "pending", "1", None, "434.01", "BRL", "pix", None, "2026-03-17T12:25:54Z", False, False, None, None, None),
    "appmax/OrderRefund.json": (
        "refunded", "1", None, "582.67", "BRL", "credit_card", None, "2026-03-17T12:25:39Z", False, False, None, None,
        None),
    "appmax/PaymentNotAuthorized.reason_suffix.json": (
        "refused", "3173109", None, "348.00", "BRL", "credit_card", 6, "2020-01-06T18:42:50Z", False, False, None,
        "300", "5000"),
    "appmax/SubscriptionCancellationEvent.json": (
        "subscription_canceled", None, None, None, None, None, None, "2026-03-17T12:26:35Z", False, False, None, "1",
        "1"),
    "appmax/order_paid.old_legacy.json": (  # names no time: when it was received
        "approved", "12844", None, None, None, None, None, "2026-01-01T00:00:00Z", False, False, None, None, None),
    "braip/ABANDONO.json": (
        "initiate_checkout", "aban66021", None, None, None, None, None, "2025-12-05T19:23:36Z", False, False, None,
        "pro164031", "plan138236"),
    "braip/STATUS_ALTERADO.1_aguardando_pagamento_boleto.json": (
        "pending", "ven719279", "ven173311", "9.99", "BRL", "boleto", 3, "2025-12-22T19:41:42Z", False, False, None,
        "pro389358", "plan276869"),
    "braip/STATUS_ALTERADO.2_aprovado.reconstructed.json": (  # 579.60 with interest
        "approved", "ven719279", None, "467.00", "BRL", "credit_card", 12, "2025-12-22T19:41:42Z", False, False,
        "CLICKID_FAKE", "pro389358", "plan276869"),
    "braip/STATUS_ALTERADO.5.reconstructed.json": (
        "refunded", "ven719279", None, "467.00", "BRL", "credit_card", 12, "2025-12-22T19:41:42Z", False, False,
        "CLICKID_FAKE", "pro389358", "plan276869"),
    "cakto/purchase_approved.shape.json": (
        "approved", "00000000-0000-4000-8000-000000000001", None, "39.90", "BRL", "pix", None, "2025-08-01T12:01:00Z",
        False, False, "CLICKID_FAKE", "prod-1", "off-1"),
    "kirvano/ABANDONED_CART.json": (
        "initiate_checkout", "Q8J1N6K3", None, "169.80", "BRL", None, None, "2025-02-25T21:45:39Z", True, False,
        "google", "cc7eb4c7-1c04-417c-a502-1710e98041ba", "d8df319e-4b8e-4c68-8fb8-1bd5d121b15f"),
    "kirvano/SALE_APPROVED.json": (
        "approved", "D2RP8RQ7", None, "169.80", "BRL", "credit_card", 1, "2025-02-25T21:42:17Z", True, False, "google",
        "3ea27731-3c0d-4c95-9193-b8d6f15821db", "41e84065-e1ef-4afe-814b-6c4fab5fa699"),
    "kirvano/SALE_REFUNDED.json": (
        "refunded", "D2RP8RQ7", None, "169.80", "BRL", "credit_card", 1, "2025-02-25T21:45:02Z", True, False, "google",
        "970ad27e-9190-4bf6-b8be-3dc27cbe9359", "32c8415e-ac8d-4be4-9229-eb714ef5e630"),
    "kirvano/SALE_REFUSED.json": (
        "refused", "D2RP8RQ7", None, "169.80", "BRL", "credit_card", 1, "2025-02-25T21:43:39Z", True, False, "google",
        "920d7b2f-3e6c-40ed-b94c-d7c4abb1eff7", "f7a04284-03c7-4af8-b2f7-a861843d40cb"),
    "monetizze/2_finalizada.shape_from_official_example.json": (
        "approved", "12345678", None, "1457.00", "BRL", "credit_card", 1, "2022-08-01T19:05:00Z", True, False,
        "CLICKID_FAKE", "35368", "35553"),
    "pushinpay/paid.shape.json": (
        "approved", "9c29870c-0000-4000-8000-000000000000", None, "35.00", "BRL", "pix", None, "2026-01-01T00:00:00Z",
        False, False, None, None, None),
    "syncpay/new_api.completed.shape.json": (
        "approved", "00000000-0000-4000-8000-000000000000", None, "97.00", "BRL", "pix", None, "2026-01-01T00:00:00Z",
        False, False, None, None, None),
    "syncpay/old_api.PAID_OUT.shape.json": (
        "approved", "00000000", None, "97.00", "BRL", "pix", None, "2026-01-01T00:00:00Z", False, False, "ref-1", None,
        None),
    "eduzz/old.paid.reconstructed.json": (
        "approved", "80000001", None, "97.00", "BRL", "pix", None, "2026-05-04T13:02:00Z", False, False, "CLICKID_FAKE",
        "3000001", None),
    "eduzz/v3.invoice_paid.reconstructed.json": (
        "approved", "90000001", None, "197.50", "BRL", "credit_card", 12, "2026-05-04T13:01:30Z", False, False,
        "CLICKID_FAKE", "3000001", None),
    "ticto/abandoned_cart.reconstructed.json": (
        "initiate_checkout", None, None, "197.00", "BRL", None, None, "2026-02-10T22:19:17Z", False, False,
        "CLICKID_FAKE", "1234", "O000"),
    "ticto/authorized.reconstructed.json": (
        "approved", "TOP-0001", None, "197.00", "BRL", "credit_card", 3, "2026-02-10T22:19:17Z", False, False,
        "CLICKID_FAKE", "1234", "O000"),
    "lastlink/Purchase_Order_Confirmed.reconstructed.json": (
        "approved", "22222222-0000-4000-8000-000000000000", None, "97.90", "BRL", "credit_card", 2,
        "2026-03-01T12:00:00Z", False, False, "CLICKID_FAKE", "11111111-0000-4000-8000-000000000000", "off-1"),
    "shopify/checkouts_create.reconstructed.json": (
        "initiate_checkout", "450789469", None, "319.80", "BRL", None, None, "2026-06-01T12:50:00Z", False, False, None,
        "632910392", "808950810"),
    "shopify/orders_paid.reconstructed.json": (
        "approved", "820982911946154508", None, "319.80", "BRL", "pix", None, "2026-06-01T13:00:05Z", False, False,
        "CLICKID_FAKE", "632910392", "808950810"),
    "shopify/refunds_create.reconstructed.json": (
        "refunded", "820982911946154508", None, None, "BRL", None, None, "2026-06-03T12:00:01Z", False, False, None,
        "632910393", "808950811"),
    "yampi/cart.reminder.reconstructed.json": (
        "initiate_checkout", "cart-token-1", None, "136.29", "BRL", None, None, "2026-04-01T13:10:00Z", False, False,
        "CLICKID_FAKE", "22194035", "151463680"),
    "yampi/order.paid.reconstructed.json": (
        "approved", "102855369", None, "136.29", "BRL", "pix", 1, "2026-04-01T13:05:00Z", False, False, "CLICKID_FAKE",
        "22194035", "151463680"),
    "cartpanda/order.paid.reconstructed.json": (
        "approved", "5551", None, "49.90", "USD", "credit_card", None, "2026-07-01T13:01:00Z", False, False,
        "CLICKID_FAKE", "900", "901"),
    "mercadopago/payment.updated.reconstructed.json": (
        "ignored", "1320000001", None, None, None, None, None, "2026-08-01T12:00:00Z", False, False, None, None, None),
    "pagbank/old.notice.reconstructed.form.txt": (
        "ignored", None, None, None, None, None, None, "2026-01-01T00:00:00Z", False, False, None, None, None),
    "pagbank/order_paid.reconstructed.json": (
        "approved", "ORDE_F87334AC", None, "159.90", "BRL", "credit_card", 2, "2026-09-01T12:02:03Z", False, False,
        "CLICKID_FAKE", "sku-1", None),
}  # fmt: skip
NEW_YEAR_2026 = 1_767_225_600.0


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_every_captured_delivery_is_expected_here() -> None:
    files = {str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()}
    assert files == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_captured_delivery_becomes_its_sale(
    name: str, body: Callable[[str], bytes], sale: Callable[..., Sale]
) -> None:
    found = sale(name.partition("/")[0], body(name), now=NEW_YEAR_2026)
    product = found.products[0] if found.products else None
    assert (
        found.status, found.order_id, found.parent_order_id, found.value, found.currency, found.method,
        found.installments, found.occurred_at, found.test, found.renewal, found.tracking.click_id,
        product.id if product else None, product.offer_id if product else None,
    ) == EXPECTED[name]  # fmt: skip
    assert found.gateway == name.partition("/")[0]
    assert found.event_key.startswith(f"{found.gateway}:")


@pytest.mark.parametrize(
    ("name", "person"),
    [
        ("hotmart/PURCHASE_APPROVED.pix.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000", "country": "br"}),
        ("kiwify/order_approved.wrapped_real_capture.json", {
            "em": "compradora.teste@example.com", "ph": "5511900000000", "fn": "compradora", "ln": "ficticia",
            "country": "br"}),
        ("perfectpay/2_approved.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000", "country": "br"}),
        ("appmax/OrderApproved.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000"}),
        ("appmax/OrderApproved.two_level_flat.json", {
            "em": "comprador.teste@example.com", "fn": "comprador", "ln": "ficticio", "st": "sp"}),
        ("appmax/CustomerCreated.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000"}),
        ("braip/STATUS_ALTERADO.2_aprovado.reconstructed.json", {
            "em": "comprador.teste@example.com", "fn": "comprador", "ln": "ficticio pix", "ct": "saopaulo", "st": "sp",
            "zp": "01001000", "country": "br"}),
        ("cakto/purchase_approved.shape.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio"}),
        ("kirvano/SALE_APPROVED.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio"}),
        ("monetizze/2_finalizada.shape_from_official_example.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000", "country": "br"}),
        ("pushinpay/paid.shape.json", {"fn": "pagador", "ln": "ficticio"}),
        ("syncpay/old_api.PAID_OUT.shape.json", {"em": "pagador@example.com", "fn": "pagador", "ln": "ficticio"}),
        *((name, {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio",
            "ct": "saopaulo", "st": "sp", "zp": "01001000", "country": "br"}) for name in (
            "eduzz/v3.invoice_paid.reconstructed.json", "eduzz/old.paid.reconstructed.json",
            "ticto/authorized.reconstructed.json", "shopify/orders_paid.reconstructed.json",
            "yampi/order.paid.reconstructed.json", "cartpanda/order.paid.reconstructed.json",
            "pagbank/order_paid.reconstructed.json")),
        ("lastlink/Purchase_Order_Confirmed.reconstructed.json", {
            "em": "comprador.teste@example.com", "ph": "5511900000000", "fn": "comprador", "ln": "ficticio"}),
        ("stripe/checkout.session.async_payment_succeeded.reconstructed.json", {
            "em": "buyer.fake@example.com", "fn": "fake", "ln": "buyer", "country": "de"}),
    ],
)  # fmt: skip
def test_the_buyer_is_hashed_as_meta_wants(
    name: str, person: dict[str, str], body: Callable[[str], bytes], sale: Callable[..., Sale]
) -> None:
    customer = sale(name.partition("/")[0], body(name)).customer
    found = {
        field: getattr(customer, field)
        for field in ("em", "ph", "fn", "ln", "ct", "st", "zp", "country")
    }
    assert {field: values for field, values in found.items() if values} == {
        field: [sha256(value)] for field, value in person.items()
    }


def test_clear_text_only_for_who_asks(
    body: Callable[[str], bytes], sale: Callable[..., Sale]
) -> None:
    found = sale("hotmart", body("hotmart/PURCHASE_APPROVED.pix.json"), clear=True)
    assert isinstance(found.customer.clear, dict)
    assert found.customer.clear["em"] == "comprador.teste@example.com"
    assert found.customer.em == [sha256("comprador.teste@example.com")]
