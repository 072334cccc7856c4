"""Payment methods in our words: pix, boleto, credit_card, wallet, paypal, free, other."""

from __future__ import annotations

import re
import unicodedata

_WORDS = {
    "pix": "pix",
    "boleto": "boleto",
    "billet": "boleto",
    "ticket": "boleto",
    "bankslip": "boleto",
    "financedbillet": "boleto",
    "creditcard": "credit_card",
    "card": "credit_card",
    "cartao": "credit_card",
    "cartaodecredito": "credit_card",
    "boletobancario": "boleto",
    "transferenciapix": "pix",
    "accountmoney": "wallet",
    "wallet": "wallet",
    "link": "wallet",
    "applepay": "wallet",
    "googlepay": "wallet",
    "samsungpay": "wallet",
    "amazonpay": "wallet",
    "picpay": "wallet",
    "mercadopago": "wallet",
    "paypal": "paypal",
    "paypalinternacional": "paypal",
    "free": "free",
    "gratis": "free",
}


def method(word: str | None) -> str | None:
    """Our word for a gateway's; `other` for one we do not know, None for none."""
    if word is None:
        return None
    plain = unicodedata.normalize("NFKD", word).lower()  # "Cartão de crédito" without its accents
    return _WORDS.get(re.sub(r"[^a-z]", "", plain), "other")
