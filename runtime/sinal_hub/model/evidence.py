"""The two sides that are compared: what a sale's events say of the buyer, and what a click knows of
the visitor.

A sale's side grows with every event of its order and does not depend on their sequence.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

import msgspec

from sinal_hub.model.events import Event, UserData, Utm
from sinal_hub.model.sale import SaleDetails
from sinal_hub.model.slots import ids_in, ours_in


class Subject(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """All that an order's events told so far; times are Unix ms, hashes are hex, lists are sorted.

    `approved_at` is that of the earliest approval, None before there is one.
    """

    first_at: int
    last_at: int
    approved_at: int | None = None
    click_ids: list[str] = []
    session_ids: list[str] = []
    external_ids: list[str] = []
    fbclids: list[str] = []
    fbcs: list[str] = []
    fbps: list[str] = []
    emails: list[str] = []
    phones: list[str] = []
    ips: list[str] = []
    user_agents: list[str] = []
    products: list[str] = []
    utms: list[str] = []

    @property
    def bought_at(self) -> int:
        """When it was bought, from where windows count: the approval.

        Before there is one, the first that was told.
        """
        return self.first_at if self.approved_at is None else self.approved_at

    def merged(self, other: Subject) -> Subject:
        """Both together; commutative and idempotent."""
        lists = {name: _sorted(getattr(self, name), getattr(other, name)) for name in _LISTS}
        approvals = [at for at in (self.approved_at, other.approved_at) if at is not None]
        return Subject(
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
            approved_at=min(approvals, default=None),
            **lists,
        )


SECOND_MS, MINUTE_MS = 1_000, 60_000
_LISTS = tuple(name for name in Subject.__struct_fields__ if not name.endswith("_at"))
_BOUGHT = ("approved", "subscription_renewed")
PART = 10  # of an id's 22 characters: what is left names it still


class Candidate(msgspec.Struct, kw_only=True, frozen=True):
    """One visitor's click id and what is known of the browser behind it; times are Unix ms."""

    click_id: str
    first_at: int
    last_at: int
    funnel: str = ""
    session_id: str | None = None
    external_id: str | None = None
    fbclid: str | None = None
    fbc: str | None = None
    fbp: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    url: str | None = None
    referrer: str | None = None
    utm: Utm = Utm()
    user: UserData = UserData()
    emails: list[str] = []
    phones: list[str] = []
    products: list[str] = []
    from_ad: bool = True
    consent_ads: bool | None = None


def subject_of(event: Event) -> Subject:
    """What one sale event says. Raises ValueError for an event that is not a sale."""
    sale = event.sale
    if sale is None:
        raise ValueError(f"event {event.id} is not a sale")
    utms = {name: getattr(event.utm, name) for name in Utm.__struct_fields__}
    told_at = _latest(event)
    return Subject(
        first_at=told_at,
        last_at=told_at,
        approved_at=told_at if sale.status in _BOUGHT else None,
        click_ids=_click_ids(event, sale),
        session_ids=_sorted([event.session_id]),
        external_ids=_sorted([event.external_id]),
        fbclids=_sorted([event.fbclid, fbclid_of(event.fbc)]),
        fbcs=_sorted([event.fbc]),
        fbps=_sorted([event.fbp]),
        emails=_sorted(event.user.em),
        phones=_sorted(event.user.ph),
        ips=_sorted([event.ip]),
        user_agents=_sorted([event.user_agent]),
        products=_sorted([product.id for product in sale.products]),
        utms=_sorted([f"{name}={value}" for name, value in utms.items() if value]),
    )


def _latest(event: Event) -> int:
    """The last moment that the gateway's time can mean: many tell a second or a minute, and what it
    ends with is lost.

    A click of that same second or minute came before the sale, which no gateway can tell of before
    it was made.
    """
    at = event.occurred_at
    unit = MINUTE_MS if at % MINUTE_MS == 0 else SECOND_MS if at % SECOND_MS == 0 else 1
    return max(at, min(at + unit - 1, event.received_at))


def _click_ids(event: Event, sale: SaleDetails) -> list[str]:
    """Our ids that came back.

    Where none has the page script's form, what else in the slots may be a damaged one.
    """
    told = ids_in(event.click_id, least=PART)
    if any(ours_in(one) == one for one in told):
        return _sorted(told)
    slots = [
        one
        for text in (sale.slots.src, sale.slots.sck)
        for one in ids_in(text, least=PART)
        if len(one) >= PART
    ]
    return _sorted(told, slots)


def fbclid_of(fbc: str | None) -> str | None:
    """The ad click's id inside Meta's cookie `fb.<n>.<ms>.<fbclid>`, or None."""
    parts = (fbc or "").split(".")
    return parts[3] if len(parts) >= 4 and parts[0] == "fb" and parts[3] else None


def fbc_time(fbc: str | None) -> int | None:
    """When the ad click was, in Unix ms, as Meta's cookie says; None where it is not one."""
    parts = (fbc or "").split(".")
    return int(parts[2]) if fbclid_of(fbc) and parts[2].isascii() and parts[2].isdigit() else None


def part_of(click_id: str) -> str | None:
    """What an id is looked up by when it came back in another case or cut short.

    None where too little is left.
    """
    return click_id.lower() if len(click_id) >= PART else None


@lru_cache(maxsize=4_096)
def network_of(ip: str) -> str:
    """What an address is compared by: itself, or the /64 of an IPv6 address, within which a
    telephone moves.
    """
    if ":" not in ip:
        return ip
    try:
        return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
    except ValueError:
        return ip


def merge_candidates(rows: list[Candidate]) -> list[Candidate]:
    """One candidate a click id: two workers may have stored the same visitor at the same time."""
    found: dict[str, Candidate] = {}
    for row in sorted(rows, key=lambda row: row.last_at):
        known = found.get(row.click_id)
        found[row.click_id] = row if known is None else _newer(row, known)
    return list(found.values())


def _newer(new: Candidate, old: Candidate) -> Candidate:
    filled = {
        name: getattr(new, name) if getattr(new, name) is not None else getattr(old, name)
        for name in Candidate.__struct_fields__
    }
    filled |= {
        "first_at": min(new.first_at, old.first_at),
        "emails": _sorted(new.emails, old.emails),
        "phones": _sorted(new.phones, old.phones),
        "products": _sorted(new.products, old.products),
        "from_ad": new.from_ad or old.from_ad,
    }
    return Candidate(**filled)


def _sorted(*lists: list[str] | list[str | None]) -> list[str]:
    return sorted({value for some in lists for value in some if value})


class Agreement(msgspec.Struct, frozen=True):
    """One signal that both sides had something to say about."""

    name: str
    weight: float
    agrees: bool


class RunnerUp(msgspec.Struct, frozen=True):
    """The next best click, so that a person sees how close it was."""

    click_id: str
    rule: str
    score: float
