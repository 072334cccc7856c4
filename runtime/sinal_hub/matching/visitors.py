"""What tracking events teach about visitors: rows for clicks, sessions and identities, one each per
batch.

Pure. A visitor is known by our click id; an event without one is filed under its session or under
its own id, so that address and cookies still count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sinal_hub.model.events import Event, UserData, Utm
from sinal_hub.model.evidence import PART, Candidate, Subject, fbc_time, fbclid_of, network_of
from sinal_hub.model.signals import HOUR_MS, SURE_SKEW_MS
from sinal_hub.model.times import moment
from sinal_hub.store.matching_rows import ClickRow, IdentityRow, OpenKey, SessionRow


def click_key(event: Event) -> str:
    """The id a visitor is filed under."""
    return event.click_id or event.session_id or event.id


def click_rows(events: list[Event]) -> list[ClickRow]:
    """One row a visitor, what came last winning, sorted by id so that concurrent batches lock in
    one order.
    """
    found: dict[str, ClickRow] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):
        row = _click_row(event)
        known = found.get(row.click_id)
        found[row.click_id] = row if known is None else _joined(known, row)
    return [found[key] for key in sorted(found)]


def _click_row(event: Event) -> ClickRow:
    fbclid = event.fbclid or fbclid_of(event.fbc)
    return ClickRow(
        click_id=click_key(event),
        ts=moment(event.occurred_at),
        last_seen_at=moment(event.occurred_at),
        funnel=event.funnel,
        session_id=event.session_id,
        external_id=event.external_id,
        fbclid=fbclid,
        fbc=event.fbc,
        fbp=event.fbp,
        utms=event.utm,
        ip=event.ip,
        ua=event.user_agent,
        url=event.url,
        referrer=event.referrer,
        user_data=event.user,
        products=sorted({item.id for item in event.items}),
        from_ad=_is_ad_click(event),
        consent_ads=_consent(event),
    )


def _consent(event: Event) -> bool | None:
    """The visitor's word.

    Where consent is required, a visit without one is a no to the sales it leads to.
    """
    return False if event.consent_ads is None and event.consent_required else event.consent_ads


def _is_ad_click(event: Event) -> bool:
    """Whether the visit itself came from an ad.

    Meta's cookie stays for months and says when the ad click was.
    """
    if event.kind == "click" or event.fbclid is not None:
        return True
    at = fbc_time(event.fbc)
    return at is not None and at >= event.occurred_at - HOUR_MS


# The first page says where a visitor came from; most else is what was told last.
_FIRST_WINS = ("ts", "url", "referrer", "funnel")


def _joined(old: ClickRow, new: ClickRow) -> ClickRow:
    values: dict[str, Any] = {
        name: _first(old, new, name) if name in _FIRST_WINS else _first(new, old, name)
        for name in ClickRow.__struct_fields__
    }
    values |= {
        "utms": new.utms if new.utms != Utm() else old.utms,
        "user_data": _joined_user(old.user_data, new.user_data),
        "products": sorted({*old.products, *new.products}),
        "from_ad": old.from_ad or new.from_ad,
    }
    return ClickRow(**values)


def _first(one: ClickRow, other: ClickRow, name: str) -> Any:
    value = getattr(one, name)
    return value if value is not None else getattr(other, name)


def _joined_user(old: UserData, new: UserData) -> UserData:
    return UserData(
        **{name: getattr(new, name) or getattr(old, name) for name in UserData.__struct_fields__}
    )


def session_rows(events: list[Event]) -> list[SessionRow]:
    """One row a session, sorted by id."""
    found: dict[str, SessionRow] = {}
    for event in sorted(events, key=lambda event: event.occurred_at):
        if event.session_id is None:
            continue
        known = found.get(event.session_id)
        key, at = click_key(event), moment(event.occurred_at)
        found[event.session_id] = SessionRow(
            session_id=event.session_id,
            first_click_id=known.first_click_id if known else key,
            last_click_id=key,
            first_seen_at=known.first_seen_at if known else at,
            last_seen_at=at,
        )
    return [found[key] for key in sorted(found)]


def identity_rows(seen: list[tuple[str, list[str], list[str], int]]) -> list[IdentityRow]:
    """One row a click id and hash.

    `seen` holds click id, e-mail hashes, phone hashes and Unix ms.
    """
    found: dict[tuple[str, str, str], IdentityRow] = {}
    for click_id, emails, phones, at_ms in sorted(seen, key=lambda row: row[3]):
        for email, phone in [
            *((email, None) for email in emails),
            *((None, phone) for phone in phones),
        ]:
            key = (click_id, email or "", phone or "")
            known, at = found.get(key), moment(at_ms)
            found[key] = IdentityRow(
                click_id=click_id,
                email_hash=email,
                phone_hash=phone,
                first_seen_at=known.first_seen_at if known else at,
                last_seen_at=at,
            )
    return [found[key] for key in sorted(found)]


def identities_of(events: list[Event]) -> list[IdentityRow]:
    """Identities that tracking events carry."""
    return identity_rows(
        [(click_key(event), event.user.em, event.user.ph, event.occurred_at) for event in events]
    )


# Fields of a visit that stand in the keys of `subject_keys`, by the name they have there.
_TOLD = (
    ("session", "session_id"),
    ("external", "external_id"),
    ("fbc", "fbc"),
    ("fbclid", "fbclid"),
    ("fbp", "fbp"),
)
# `fbc` and `fbclid` are not among them: they name an ad's click, and whoever was sent its link has
# them too.
_BROWSER = ("session_id", "external_id", "fbp")


def visit_keys(events: list[Event]) -> list[OpenKey]:
    """Keys of the sales that these visits could belong to, or whose evidence they change."""
    found: dict[str, int] = {}
    for event in events:
        keys = [f"{name}:{value}" for name, field in _TOLD if (value := getattr(event, field))]
        if event.click_id:
            keys.append(_click(event.click_id))
        if event.ip:
            keys.append(f"ip:{network_of(event.ip)}")
        if clicked := fbclid_of(event.fbc):
            keys.append(f"fbclid:{clicked}")
        keys += [f"em:{digest}" for digest in event.user.em] + [
            f"ph:{digest}" for digest in event.user.ph
        ]
        # what is told after the purchase may still say whose click it was
        at = event.occurred_at - SURE_SKEW_MS
        for key in keys:
            found[key] = min(found.get(key, at), at)
    return [OpenKey(key, moment(at)) for key, at in sorted(found.items())]


def taught_keys(sales: list[Event]) -> list[OpenKey]:
    """Keys of other orders of the buyers whose sales carry our own id: it may prove whose e-mail
    and phone they are.
    """
    found: dict[str, int] = {}
    for event in sales:
        if event.sale is not None and (event.click_id or event.session_id):
            for key in [f"em:{digest}" for digest in event.user.em] + [
                f"ph:{digest}" for digest in event.user.ph
            ]:
                found[key] = event.occurred_at - SURE_SKEW_MS
    return [OpenKey(key, moment(at)) for key, at in sorted(found.items())]


def subject_keys(subject: Subject) -> list[str]:
    """Keys by which an order is found again when a click arrives late."""
    return sorted(
        {_click(click_id) for click_id in subject.click_ids}
        | {f"ip:{network_of(ip)}" for ip in subject.ips}
    ) + _keys(
        {
            "session": subject.session_ids,
            "external": subject.external_ids,
            "fbc": subject.fbcs,
            "fbclid": subject.fbclids,
            "fbp": subject.fbps,
            "em": subject.emails,
            "ph": subject.phones,
        }
    )


def browser_keys(browser: Candidate) -> list[str]:
    """Keys by which another click of this browser finds the order that it was recognised for."""
    return [
        f"{name}:{value}"
        for name, field in _TOLD
        if field in _BROWSER and (value := getattr(browser, field))
    ]


def _click(click_id: str) -> str:
    """The key of an id, by its beginning: a damaged one finds its click too."""
    return f"click:{click_id[:PART].lower()}"


def _keys(told: Mapping[str, Sequence[str]]) -> list[str]:
    return sorted({f"{name}:{value}" for name, values in told.items() for value in values if value})
