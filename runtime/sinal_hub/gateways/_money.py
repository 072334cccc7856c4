"""Amounts as decimal strings in major units.

Two decimals for every currency but those whose smallest unit is another (ISO 4217): yen have none,
Kuwaiti dinars three. Amounts that were written for people ("R$ 1.297,00", "1,297.00", "1.169", "US$
10") are read by `price` with the currency that stands beside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

from sinal_hub.gateways._body import Node

# fmt: off
_NO_DECIMALS = frozenset({
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
})
# fmt: on
_THREE_DECIMALS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_STEPS = {count: Decimal(1).scaleb(-count) for count in (0, 2, 3)}  # by how many decimals there are
_CODE_LENGTH = 3
_SIGNS = {
    "R$": "BRL", "US$": "USD", "U$": "USD", "USD$": "USD", "€": "EUR", "£": "GBP", "MX$": "MXN", "MEX$": "MXN",
    "AR$": "ARS", "CLP$": "CLP", "COL$": "COP", "COP$": "COP", "CA$": "CAD", "S/": "PEN", "S/.": "PEN", "₲": "PYG",
    "GS": "PYG", "GS.": "PYG", "KZ": "AOA",
}  # fmt: skip
_MARK = r"[A-Za-z]{0,3}\$|[A-Za-z]{3}|[Gg][Ss]\.?|[Kk][Zz]|[Ss]/\.?|[€£¥₲]"
_WRITTEN = re.compile(rf"({_MARK})?\s*(\d[\d.,]{{0,39}}?)(?:\s*({_MARK}))?", re.ASCII)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:([.,])\d{3})(?:\1\d{3})*", re.ASCII)
_PLAIN = re.compile(r"\d{1,18}(?:[.,]\d{1,12})?", re.ASCII)
_GROUPED = re.compile(r"\d{1,3}(?:\.\d{3}){1,5},\d{1,3}|\d{1,3}(?:,\d{3}){1,5}\.\d{1,3}", re.ASCII)


def currency(code: str | None) -> str | None:
    """A currency code in upper case, also of a sign that one currency alone has.

    None for what is none.
    """
    code = code.strip() if code else ""
    code = _SIGNS.get(code.upper(), code)
    if len(code) != _CODE_LENGTH or not (code.isascii() and code.isalpha()):
        return None
    return code.upper()


def currency_of(*told: str | None, default: str) -> str | None:
    """The first currency that can be read of what a delivery says.

    The gateway's own where it says nothing.
    """
    found = next((code for text in told if (code := currency(text)) is not None), None)
    return default if found is None and not any(told) else found


def decimals(code: str | None) -> int:
    """How many decimals amounts of a currency have; an unknown one is taken to have two."""
    if code in _NO_DECIMALS:
        return 0
    return 3 if code in _THREE_DECIMALS else 2


def major(number: Decimal | None, code: str | None) -> str | None:
    """An amount in major units as a string.

    None for none and for a negative one, which no buyer pays.
    """
    if number is None or number < 0:
        return None
    return format(abs(number).quantize(_step(code), rounding=ROUND_HALF_UP), "f")  # of "-0.00" too


def cents(number: Decimal | None, code: str | None) -> str | None:
    """An amount in hundredths as a string in major units, whatever the currency (Kiwify, Braip).

    There is no part of a cent: what has a fraction was written in major units.
    """
    if number is None or number != number.to_integral_value():
        return major(number, code)
    return major(number.scaleb(-2), code)


def price(node: Node, *path: str, default: str | None) -> tuple[str | None, str | None]:
    """The amount of a field and its currency: what is written beside it, else the default.

    None without an amount.

    A number is what it is. In a text three digits behind a lone point or comma are thousands, for
    no currency of two decimals has them as a fraction: "1.169" reais are 1169.00. "0.500" and
    "1169.000" are fractions all the same.
    """
    raw = node.raw(*path)
    if not isinstance(raw, str):
        code, number = default, node.number(*path)
    else:
        found = _WRITTEN.fullmatch(" ".join(raw.split()))
        if found is None:
            return None, None
        mark = found[1] or found[3]
        code = currency(mark) if mark and mark != "$" else default
        number = _read(found[2], code)
    value = major(number, code)
    return (None, None) if value is None else (value, code)


def amount(node: Node, *path: str, code: str | None) -> str | None:
    """The amount of a field in a currency that is known already; see `price`."""
    return price(node, *path, default=code)[0]


def reais(text: str | None) -> Decimal | None:
    """The amount of "R$ 1.169,80" (Kirvano); None for anything else."""
    found, code = price(Node({"it": text}), "it", default=None) if text else (None, None)
    return Decimal(found) if found is not None and code == "BRL" else None


def shared(values: Sequence[str | None], total: str | None, code: str | None) -> list[str | None]:
    """The values of lines brought down to what was paid for all: a discount on the whole is a
    discount on each.

    Nothing changes where a line has no value, and where the lines come to less than the total:
    delivery and gifts in it belong to no line. The cents that a division leaves over go to the
    first line.
    """
    told = [Decimal(line) for line in values if line is not None]
    whole = _sum(values)
    if total is None or len(told) < len(values) or not told or whole <= Decimal(total):
        return list(values)
    parts = [
        (Decimal(total) * line / whole).quantize(_step(code), rounding=ROUND_DOWN) for line in told
    ]
    parts[0] += Decimal(total) - sum(parts, Decimal(0))
    return [format(part, "f") for part in parts]


def lines(
    prices: Sequence[str | None], quantities: Sequence[int], total: str | None, code: str | None
) -> list[str | None]:
    """The values of whole lines that come to what was paid, of prices that are of one unit or of
    the line.

    The total tells which: where prices times quantities are it and the prices alone are not, they
    are of one unit.
    """
    units = [
        None if told is None else major(Decimal(told) * quantity, code)
        for told, quantity in zip(prices, quantities, strict=True)
    ]
    if total is not None and _sum(prices) != Decimal(total) and _sum(units) == Decimal(total):
        return units
    return shared(prices, total, code)


def _sum(told: Sequence[str | None]) -> Decimal:
    return sum((Decimal(one) for one in told if one is not None), Decimal(0))


def _step(code: str | None) -> Decimal:
    return _STEPS[decimals(code)]


def _read(digits: str, code: str | None) -> Decimal | None:
    if decimals(code) != 3 and _THOUSANDS.fullmatch(digits):
        return Decimal(re.sub("[.,]", "", digits))
    if _GROUPED.fullmatch(digits):
        at = max(digits.rfind(","), digits.rfind("."))
        return Decimal(re.sub("[.,]", "", digits[:at]) + "." + digits[at + 1 :])
    return Decimal(digits.replace(",", ".")) if _PLAIN.fullmatch(digits) else None
