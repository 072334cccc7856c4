"""What gateway modules read deliveries with, for packages of others: its names stay, what is behind them may move.

`docs/adding-a-gateway.md` shows them at work.
"""

from __future__ import annotations

from sinal_runtime.gateways._body import Node, load
from sinal_runtime.gateways._keys import event_key, fingerprint
from sinal_runtime.gateways._methods import method
from sinal_runtime.gateways._money import cents, currency, major, reais
from sinal_runtime.gateways._proof import header, is_one_of, secrets_of, signed_base64, signed_hex
from sinal_runtime.gateways._reading import Reading, phones, with_area
from sinal_runtime.gateways._time import first, instant, latest
from sinal_runtime.gateways._tracking import client, query_of
from sinal_runtime.gateways._tracking import read as tracking

__all__ = [
    "Node",
    "Reading",
    "cents",
    "client",
    "currency",
    "event_key",
    "fingerprint",
    "first",
    "header",
    "instant",
    "is_one_of",
    "latest",
    "load",
    "major",
    "method",
    "phones",
    "query_of",
    "reais",
    "secrets_of",
    "signed_base64",
    "signed_hex",
    "tracking",
    "with_area",
]
