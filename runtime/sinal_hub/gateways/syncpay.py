"""SyncPay: Pix only, two generations of the API, each with or without a wrapper `data`; no proof.

- Proof: none is evidenced. The unguessable segment of the webhook's URL is the only check.
- Event: the header says `cashin.create` or `cashin.update`, the body only the status, and a
  `cashin.create` may be paid already: so the status decides. New: pending, completed, failed,
  refunded, med (the central bank's return for fraud: Pix's chargeback). Old, in capitals:
  WAITING_FOR_APPROVAL, PAID_OUT.
- A cash-out is money that leaves: a body with the receiver's Pix key is ignored, whatever its
  status.
- Value: `amount`, decimals; `final_amount` is what is left of it after fees.
- Time: none is evidenced; read where there is one, else the time of receipt.
- Tracking: none comes back but the seller's own reference, read as a click id where it has the form
  of one.

Sources: public adapters with shapes of both generations.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _body, _money, _time, _tracking
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, phones
from sinal_hub.model import keys
from sinal_hub.model.sale import Sale, Status

NAME = "syncpay"
SECRET_KEYS: tuple[str, ...] = ()
AUTHENTICATES = False
MEANINGLESS = frozenset({"cashout"})

STATUSES: dict[str, Status] = {
    "pending": "pending",
    "completed": "approved",
    "failed": "refused",
    "expired": "expired",
    "canceled": "canceled",
    "cancelled": "canceled",
    "refunded": "refunded",
    "med": "chargeback",
    "waiting_for_approval": "pending",
    "paid_out": "approved",
}
_NEW_MARKS = ("client", "final_amount", "end_to_end", "pix_code")
_CASH_OUT = ("pix_key", "pixkey", "pix_type", "pixtype")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """True: there is nothing to check, the caller must have checked the token in the URL."""
    return True


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a delivery of SyncPay."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    data = body.node("data") or body
    word, old = data.text("status"), data.ident("idtransaction") or data.ident("idTransaction")
    if word is None:
        raise NotThisGateway("`status` is missing")
    if old is None and (data.ident("id") is None or "event" in body or "value" in data):
        raise NotThisGateway("`idtransaction` is missing, and so is `id` of the new API")
    wrapped = "data" in body and "amount" in data
    if old is None and not (wrapped or any(mark in data for mark in _NEW_MARKS)):
        raise NotThisGateway(
            "`idtransaction` is missing, and so are `data.amount` and `client` of the new API"
        )
    return [_sale(data, old or data.ident("id"), word, reading)]


def _sale(data: Node, order: str | None, word: str, reading: Reading) -> Sale:
    status = STATUSES.get(word.lower(), "ignored")
    if any(name in data for name in _CASH_OUT):
        status, word = "ignored", "cashout"
    value, currency = _money.price(
        data, "amount", default=_money.currency_of(data.text("currency"), default="BRL")
    )
    moment = _time.first(data.raw("updated_at"), data.raw("paid_at"), data.raw("created_at"))
    return Sale(
        gateway=NAME,
        event=word,
        event_key=keys.event_key(NAME, order, status, word if status == "ignored" else None),
        status=status,
        order_id=order,
        value=value,
        currency=currency,
        method="pix",
        occurred_at=reading.occurred(moment),
        customer=reading.customer(_buyer(data) if status != "ignored" else identity.ClearUser()),
        tracking=_tracking.read(
            [data], trust=("click_id", "externalreference", "external_reference")
        ),
    )


def _buyer(data: Node) -> identity.ClearUser:
    client = data.node("client")
    return identity.ClearUser(
        email=client.text("email") or data.text("client_email"),
        phones=phones(client.text("phone") or data.text("client_phone")),
        full_name=client.text("name")
        or data.text("client_name")
        or data.text("debtor_account", "name"),
    )
