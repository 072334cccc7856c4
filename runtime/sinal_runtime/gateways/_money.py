"""Amounts as decimal strings in major units.

Two decimals for every currency but those whose smallest unit is another (ISO 4217): yen have none, Kuwaiti dinars
three.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

# fmt: off
_NO_DECIMALS = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
})
# fmt: on
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_CODE_LENGTH = 3
_SIGNS = {"R$": "BRL", "US$": "USD", "€": "EUR"}
_IN_REAIS = re.compile(r"R\$\s*(\d{1,3}(?:\.\d{3}){1,5}|\d{1,15})(?:,(\d{1,2}))?")


def currency(code: str | None) -> str | None:
    """A currency code in upper case, also of a sign that one currency alone has; None for what is none."""
    code = _SIGNS.get(code or "", code)
    if code is None or len(code) != _CODE_LENGTH or not (code.isascii() and code.isalpha()):
        return None
    return code.upper()


def decimals(code: str | None) -> int:
    """How many decimals amounts of a currency have; an unknown one is taken to have two."""
    if code in _NO_DECIMALS:
        return 0
    return 3 if code in _THREE_DECIMALS else 2


def major(amount: Decimal | None, code: str | None) -> str | None:
    """An amount in major units as a string; None for none and for a negative one, which no buyer pays."""
    if amount is None or amount < 0:
        return None
    step = Decimal(1).scaleb(-decimals(code))
    return format(amount.quantize(step, rounding=ROUND_HALF_UP), "f")


def cents(amount: Decimal | None, code: str | None) -> str | None:
    """An amount in hundredths as a string in major units, whatever the currency (Kiwify, Braip)."""
    return None if amount is None else major(amount.scaleb(-2), code)


def reais(text: str | None) -> Decimal | None:
    """The amount of "R$ 1.169,80" (Kirvano); None for anything else."""
    found = _IN_REAIS.fullmatch((text or "").strip())
    if found is None:
        return None
    return Decimal(f"{found[1].replace('.', '')}.{found[2] or '0'}")
