"""What gateway modules read deliveries with, for packages of others: its names stay, what is behind
them may move.

`docs/developers/adding-a-gateway.md` shows them at work.
"""

from __future__ import annotations

from sinal_hub.gateways._body import Node, load
from sinal_hub.gateways._methods import method
from sinal_hub.gateways._money import (
    amount,
    cents,
    currency,
    currency_of,
    lines,
    major,
    price,
    reais,
    shared,
)
from sinal_hub.gateways._proof import header, is_one_of, secrets_of, signed_base64, signed_hex
from sinal_hub.gateways._reading import Reading, phones, with_area, with_country
from sinal_hub.gateways._refunds import given_back
from sinal_hub.gateways._subscriptions import is_later, status_of
from sinal_hub.gateways._time import first, instant, latest
from sinal_hub.gateways._tracking import client, client_of, query_of
from sinal_hub.gateways._tracking import read as tracking
from sinal_hub.model.keys import event_key, fingerprint

__all__ = [
    "Node",
    "Reading",
    "amount",
    "cents",
    "client",
    "client_of",
    "currency",
    "currency_of",
    "event_key",
    "fingerprint",
    "first",
    "given_back",
    "header",
    "instant",
    "is_later",
    "is_one_of",
    "latest",
    "lines",
    "load",
    "major",
    "method",
    "phones",
    "price",
    "query_of",
    "reais",
    "secrets_of",
    "shared",
    "signed_base64",
    "signed_hex",
    "status_of",
    "tracking",
    "with_area",
    "with_country",
]
