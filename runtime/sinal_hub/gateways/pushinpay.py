"""PushinPay: Pix only, JSON or form, authenticated by a token of one's own choice in a header.

- Proof: header `x-pushinpay-token`, compared with the token set in the panel.
- Status: `status`; value: `value` in cents, in reais.
- The id's case differs between the creation of the Pix and its notice, so it is read in lower case,
  everywhere.
- Buyer: a name at most. No e-mail, no phone, no tracking comes back: of a notice alone no click can
  be found.
- Time: none is sent; a notice happened when it was received.

Sources: public adapters in agreement with each other.
"""

from __future__ import annotations

from collections.abc import Mapping

from sinal_hub import identity
from sinal_hub.gateways import NotThisGateway, _body, _money, _proof, _time
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading
from sinal_hub.model import keys
from sinal_hub.model.sale import Sale, Status

NAME = "pushinpay"
SECRET_KEYS: tuple[str, ...] = ("token",)
CARRIES_CONTACT = False  # a payer has a name and a document here, never an e-mail or a phone
AUTHENTICATES = True
MEANINGLESS: frozenset[str] = frozenset()
CURRENCY = "BRL"

STATUSES: dict[str, Status] = {
    "created": "pending",
    "paid": "approved",
    "approved": "approved",
    "expired": "expired",
    "canceled": "canceled",
    "cancelled": "canceled",
    "refunded": "refunded",
}
_MARKS = ("end_to_end_id", "payer_name", "payer_national_registration", "qr_code")


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the header carries the token."""
    return _proof.is_one_of(
        _proof.header(headers, "x-pushinpay-token"), _proof.secrets_of(secret, "token")
    )


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a notice of PushinPay."""
    body, reading = _body.load(raw), Reading(country=country, clear=clear, now=now)
    order, word = body.ident("id"), body.text("status")
    if order is None or word is None:
        raise NotThisGateway("`id` or `status` is missing")
    if "value" not in body:
        raise NotThisGateway("`value` is missing")
    if word.lower() not in STATUSES and not any(mark in body for mark in _MARKS):
        raise NotThisGateway(
            "`status` is not a word of PushinPay's, and `end_to_end_id` and "
            "`payer_name` are missing"
        )
    return [_sale(body, order.lower(), word.lower(), reading)]


def _sale(body: Node, order: str, word: str, reading: Reading) -> Sale:
    status, value = STATUSES.get(word, "ignored"), _money.cents(body.number("value"), CURRENCY)
    return Sale(
        gateway=NAME,
        event=word,
        event_key=keys.event_key(NAME, order, status, word if status == "ignored" else None),
        status=status,
        order_id=order,
        value=value,
        currency=CURRENCY if value is not None else None,
        method="pix",
        occurred_at=reading.occurred(
            _time.first(body.raw("paid_at"), body.raw("updated_at"), body.raw("created_at"))
        ),
        customer=reading.customer(identity.ClearUser(full_name=body.text("payer_name"))),
    )
