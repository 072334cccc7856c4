"""Who a request about personal data means: from what a person writes to the hashes, ids and marks
that rooms look for.

Clear values end here: what leaves this module is a digest, or an id that the tenant gave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote_plus

import msgspec

from sinal_hub import identity
from sinal_hub.matching.suppression import Trait, key_of
from sinal_hub.model.events import Forget
from sinal_hub.store.personal_data import PersonalData

# What may be an e-mail or a phone in a body of unknown form; each is normalised and hashed before
# it is compared. Both are bounded, so that the time of a search grows with the body and nothing
# more: senders choose what stands in it.
_LOCAL = re.compile(r"[^\s\"'<>()\[\]{},;:=&|\\]{1,64}\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9.\-]{1,253}")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|/)")
MAX_FOUND = 2_000  # distinct addresses, or numbers, of one body: a notice of a sale has a few
_PHONE = re.compile(r"\+?\d[\d\s().\-]{6,20}\d")


class TooManyPeople(Exception):
    """A body holds more addresses or numbers than can be compared; no gateway sends such a one."""


class NoSuchPerson(ValueError):
    """A value from which nobody can be told; `field` names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class Person(msgspec.Struct, kw_only=True, frozen=True):
    """A person or an order as a request names them, hashed where it is personal."""

    emails: list[str] = []
    phones: list[str] = []
    orders: list[str] = []
    clicks: list[str] = []
    externals: list[str] = []

    @classmethod
    def of(
        cls,
        *,
        country: str,
        email: str | None = None,
        phone: str | None = None,
        order_id: str | None = None,
        click_id: str | None = None,
        external_id: str | None = None,
    ) -> Person:
        """The person; e-mail and phone in clear or as Meta's SHA-256. Raises NoSuchPerson."""
        return cls(
            emails=_digest("email", email, country),
            phones=_digest("phone", phone, country),
            orders=[order_id] if order_id else [],
            clicks=[click_id] if click_id else [],
            externals=[external_id] if external_id else [],
        )

    def forget(self, tenant: str) -> Forget:
        """As an erasure looks for them."""
        return Forget(tenant=tenant, emails=self.emails, phones=self.phones, orders=self.orders)

    def keys(self, tenant: str) -> list[str]:
        """The marks that matching knows them by."""
        return _keys(
            tenant,
            {
                "em": self.emails,
                "ph": self.phones,
                "order": self.orders,
                "click": self.clicks,
                "external": self.externals,
            },
        )

    @property
    def digests(self) -> list[str]:
        """What payloads carry of them."""
        hashed = (identity.hashed("external_id", external) for external in self.externals)
        return [*self.emails, *self.phones, *(digest for digest in hashed if digest)]


def keys_of(found: PersonalData) -> list[str]:
    """The marks of everything found of a person."""
    wanted = found.wanted
    orders = {order.order_id for order in found.orders if order.order_id} | set(wanted.orders)
    return _keys(
        wanted.tenant,
        {
            "em": wanted.emails,
            "ph": wanted.phones,
            "order": orders,
            "click": {click.click_id for click in found.clicks},
            "session": found.sessions,
            "external": {click.external_id for click in found.clicks if click.external_id},
        },
    )


def mentions(raw: bytes, wanted: Forget, *, country: str) -> bool:
    """Whether a body in clear, of whatever form, holds the person, or the order as a word of its
    own.

    Raises TooManyPeople for a body that was made to be slow to search.
    """
    text = raw.decode("utf-8", "replace")
    # Gateways send JSON or forms: the same person may be written plainly, escaped or encoded.
    texts = {text, unquote_plus(text), _ESCAPED.sub(_unescaped, text)}
    if any(_word(order).search(one) for one in texts for order in wanted.orders):
        return True
    emails, phones = set(wanted.emails), set(wanted.phones)
    return any(
        # Some senders hash people themselves.
        any(digest in one for digest in (*emails, *phones))
        or not emails.isdisjoint(_hashes("em", _emails(one), country))
        or not phones.isdisjoint(
            _hashes("ph", (number[0] for number in _PHONE.finditer(one)), country)
        )
        for one in texts
    )


def _word(order: str) -> re.Pattern[str]:
    """Some shops count their orders from 1: another's price or phone must not be taken for one."""
    return re.compile(rf"(?<![0-9A-Za-z]){re.escape(order)}(?![0-9A-Za-z])")


def _unescaped(found: re.Match[str]) -> str:
    """What JSON may write otherwise; halves of a pair stay, no order or address has them."""
    code = int(found[1] or "2f", 16)
    return found[0] if 0xD800 <= code < 0xE000 else chr(code)


def _hashes(field: str, found: Iterable[str], country: str) -> set[str]:
    distinct: set[str] = set()
    for value in found:
        distinct.add(value)
        if len(distinct) > MAX_FOUND:
            raise TooManyPeople(field)
    return {
        digest for value in distinct if (digest := identity.hashed(field, value, country=country))
    }


def _emails(text: str) -> Iterable[str]:
    at = text.find("@")
    while at >= 0:
        local, domain = _LOCAL.search(text[max(0, at - 64) : at]), _DOMAIN.match(text, at + 1)
        if local and domain:
            yield f"{local[0]}@{domain[0]}"
        at = text.find("@", at + 1)


def _digest(field: str, value: str | None, country: str) -> list[str]:
    if value is None:
        return []
    digest = identity.hashed(field, value, country=country)
    if digest is None:
        raise NoSuchPerson(
            field,
            f"no valid {field}; give it as the person wrote it, or its SHA-256 as Meta has it",
        )
    return [digest]


def _keys(tenant: str, told: dict[Trait, Iterable[str]]) -> list[str]:
    return sorted(
        {key_of(tenant, trait, value) for trait, values in told.items() for value in values}
    )
