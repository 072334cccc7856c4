"""Monetizze: a form with nested keys and the same once more as JSON, authenticated by `chave_unica`
in the body.

- Proof: `chave_unica` of the account, compared. `produto.chave` is the product's and proves nothing
  here.
- Body: `venda[codigo]=…` and a field `json` with the whole; where `json` is readable it alone is
  looked at, for proof and sale alike, so that nothing beside what was proved is read. A JSON body
  is read as it stands.
- Status: `tipoEvento.codigo`. 6 is the end of the guarantee; 5 is a sale blocked by a dispute; 98
  and 99 say that card or boleto was chosen; 101-104 tell of the subscription; 105 and 106 (a sale
  paid in parts) and 120 (the parcel's way) move nothing.
- Value: `venda.valor`, decimals in reais, bumps included; the same for producer and affiliate
  (`tipoPostback`), whose copies share a key.
- Items: `venda_item_order_bump` lists all of them, the main one too, whatever `order_bump` says;
  without it the product is the one item. An upsell is a sale of its own that names the first in
  `venda_upsell`.
- A later charge of a subscription (`assinatura.parcela`) or of a sale paid in parts
  (`recuperacao_parcelada.parcela`) is a renewal.
- Time: naive local; `dataFinalizada` for an approval, else the later of it and `dataInicio`.
- No event id: key is sale, status and code. An abandonment (7) has no sale: who, what and when tell
  two apart.
- Tracking: `venda.src` and UTM come back. Newer postbacks have the buyer's `ip` and `user_agent`.
- Test button: the product is called X-Wing.

Sources: Monetizze's published example receiver and its list of fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sinal_hub import identity
from sinal_hub.gateways import (
    NotThisGateway,
    _body,
    _methods,
    _money,
    _proof,
    _refunds,
    _subscriptions,
    _time,
    _tracking,
)
from sinal_hub.gateways._body import Node
from sinal_hub.gateways._reading import Reading, country_code, phones, with_country
from sinal_hub.model import keys
from sinal_hub.model.sale import Product, Sale, Status

NAME = "monetizze"
SECRET_KEYS: tuple[str, ...] = ("chaveUnica",)
AUTHENTICATES = True
MEANINGLESS = frozenset({"105", "106", "120"})
CURRENCY = "BRL"

EVENTS: dict[int, Status] = {
    1: "pending",
    2: "approved",
    3: "canceled",
    4: "refunded",
    5: "chargeback",
    6: "completed",
    7: "initiate_checkout",
    98: "pending",
    99: "pending",
    101: "subscription_changed",  # active
    102: "subscription_past_due",
    103: "subscription_canceled",
    104: "subscription_past_due",  # waiting for payment
}
_TEST_PRODUCT = "x-wing"


def verify(
    raw: bytes, headers: Mapping[str, str], query: Mapping[str, str], secret: Mapping[str, str]
) -> bool:
    """Whether the body carries the account's key."""
    try:
        given = _load(raw).text("chave_unica")
    except NotThisGateway:
        return False
    return _proof.is_one_of(given, _proof.secrets_of(secret, "chaveUnica"))


def parse(
    raw: bytes, *, country: str = "BR", clear: bool = False, now: float | None = None
) -> list[Sale]:
    """One normalised sale; raises NotThisGateway for a body that is not a postback of Monetizze."""
    body, reading = _load(raw), Reading(country=country, clear=clear, now=now)
    code = body.text("tipoEvento", "codigo")
    if code is None:
        raise NotThisGateway("`tipoEvento.codigo` is missing")
    if not body.node("venda") and not body.node("produto"):
        raise NotThisGateway("`venda` and `produto` are missing")
    status: Status = EVENTS.get(body.integer("tipoEvento", "codigo") or 0, "ignored")
    if body.ident("venda", "codigo") is None and status not in ("initiate_checkout", "ignored"):
        raise NotThisGateway("`venda.codigo` is missing")
    return [_sale(body, code, status, reading)]


def _load(raw: bytes) -> Node:
    body = _body.load(raw)
    return body.node("json") or body


def _sale(body: Node, code: str, status: Status, reading: Reading) -> Sale:
    venda, order = body.node("venda"), body.ident("venda", "codigo")
    value, currency = _money.price(
        venda, "valor", default=_money.currency_of(venda.text("moeda"), default=CURRENCY)
    )
    status = _subscriptions.status_of(status, value, subscribed=bool(body.node("assinatura")))
    status, given = _refunds.given_back(status, value, currency, venda)
    charges = (
        body.integer("assinatura", "parcela"),
        body.integer("recuperacao_parcelada", "parcela"),
    )
    later = _subscriptions.is_later(*charges)
    kept = _subscriptions.remembered(
        body.ident("assinatura", "codigo"), began=_subscriptions.began(status, value), renewal=later
    )
    return Sale(
        gateway=NAME,
        event=code,
        event_key=keys.event_key(
            NAME, order or _cart(body), status, code, _refunds.fact(status, given)
        ),
        status=status,
        order_id=order,
        parent_order_id=_first_sale(venda, order),
        value=value,
        currency=currency,
        method=_methods.method(venda.text("formaPagamento")),
        installments=venda.integer("parcelas"),
        occurred_at=reading.occurred(_moment(venda, status)),
        test=(body.text("produto", "nome") or "").lower() == _TEST_PRODUCT,
        renewal=status == "approved" and later,
        products=_products(body, value, currency),
        customer=reading.customer(_buyer(body.node("comprador"))),
        tracking=_tracking.read(
            [venda, body, _tracking.query_of(body.text("url_recuperacao"))],
            trust=("src", "sck", "xcod"),
        ),
        client=_tracking.client_of(body.node("comprador"), venda),
        refunded_value=given,
        subscription_id=kept.id,
        trial=kept.trial,
    )


def _first_sale(venda: Node, order: str | None) -> str | None:
    first = venda.ident("venda_upsell")
    return None if first in ("0", order) else first


def _cart(body: Node) -> str:
    buyer = body.node("comprador")
    what = (
        body.ident("produto", "codigo"),
        body.ident("plano", "codigo"),
        body.text("venda", "dataInicio"),
    )
    return keys.fingerprint(buyer.text("email"), buyer.text("telefone"), what)


def _moment(venda: Node, status: Status) -> datetime | None:
    begun, finished = venda.raw("dataInicio"), venda.raw("dataFinalizada")
    return _time.first(finished, begun) if status == "approved" else _time.latest(begun, finished)


def _products(body: Node, value: str | None, currency: str | None) -> list[Product]:
    listed = [item for item in body.nodes("venda_item_order_bump") if item.ident("produto")]
    listed.sort(key=lambda item: item.flag("principal") is not True)
    if not listed:
        return _only(body, value)
    quantities = [max(1, item.integer("quantidade") or 1) for item in listed]
    prices = [_money.amount(item, "valor", code=currency or CURRENCY) for item in listed]
    values = _money.lines(prices, quantities, value, currency)
    return [
        Product(
            id=item.ident("produto"),
            name=item.text("nome"),
            offer_id=item.ident("codPlano") or item.ident("plano"),
            quantity=many,
            value=line,
        )
        for item, many, line in zip(listed, quantities, values, strict=True)
    ]


def _only(body: Node, value: str | None) -> list[Product]:
    product, offer = (
        body.node("produto"),
        body.ident("plano", "codigo") or body.ident("venda", "plano"),
    )
    found = Product(
        id=product.ident("codigo"),
        name=product.text("nome"),
        offer_id=offer,
        quantity=max(1, body.integer("venda", "quantidade") or 1),
        value=value,
    )
    return [found] if found.id or found.offer_id else []


def _buyer(buyer: Node) -> identity.ClearUser:
    return identity.ClearUser(
        email=buyer.text("email"),
        phones=phones(with_country(country_code(buyer), buyer.text("telefone"))),
        full_name=buyer.text("nome"),
        city=buyer.text("cidade"),
        state=buyer.text("estado"),
        zip=buyer.text("cep"),
        country=buyer.text("pais"),
    )
