"""Rules of events that didn't happen on a website: business messaging and apps.

Messaging events carry the ids of their channel and nothing of the web; Meta lists 14 event names,
and a live test of 2026 saw only four of them accepted, so the list is a setting.
"""

from __future__ import annotations

from typing import Any

from sinal_sandbox.config import MessagingEvents
from sinal_sandbox.refusals import (
    BAD_CTWA_CLID,
    BAD_EXTINFO,
    EVENT_NOT_FOR_MESSAGING,
    NO_INSTAGRAM_ACCOUNT,
    NO_MESSAGING_CHANNEL,
    NO_PAGE,
    NO_WHATSAPP_ACCOUNT,
    WEB_FIELD_IN_MESSAGING,
    EventRefusal,
)

_LIVE = frozenset({"Purchase", "LeadSubmitted", "InitiateCheckout", "ViewContent"})
MESSAGING_NAMES: dict[MessagingEvents, frozenset[str]] = {
    "live": _LIVE,
    "documented": _LIVE
    | {
        "AddToCart",
        "OrderCreated",
        "OrderShipped",
        "OrderDelivered",
        "OrderCanceled",
        "OrderReturned",
        "CartAbandoned",
        "QualifiedLead",
        "RatingProvided",
        "ReviewProvided",
    },
}
_EXTINFO_SLOTS = 16


def check_messaging(event: dict[str, Any], names: frozenset[str]) -> None:
    """Refuse a `business_messaging` event that lacks its channel's ids or carries web fields."""
    channel = event.get("messaging_channel")
    if not channel:
        raise EventRefusal(
            "messaging_channel",
            "is required for action_source business_messaging",
            subcode=NO_MESSAGING_CHANNEL,
        )
    if event["event_name"] not in names:
        raise EventRefusal(
            "event_name",
            f"is not allowed for business_messaging; use one of {', '.join(sorted(names))}",
            subcode=EVENT_NOT_FOR_MESSAGING,
        )
    user_data = event.get("user_data")
    if not isinstance(user_data, dict):
        raise EventRefusal("user_data", "is required and must be an object")
    _check_no_web_fields(event, user_data)
    if channel == "whatsapp":
        _check_whatsapp(user_data)
    elif channel == "messenger":
        _require(user_data, "page_id", subcode=NO_PAGE)
        _require(user_data, "page_scoped_user_id")
    elif channel == "instagram":
        _check_instagram(user_data)
    else:
        raise EventRefusal("messaging_channel", "must be whatsapp, messenger or instagram")


def check_app(app_data: Any) -> None:
    """Refuse an `app` event without its device and tracking flags."""
    if not isinstance(app_data, dict):
        raise EventRefusal("app_data", "is required for action_source app")
    for flag in ("advertiser_tracking_enabled", "application_tracking_enabled"):
        if app_data.get(flag) not in (True, False, 0, 1, "0", "1"):
            raise EventRefusal(f"app_data.{flag}", "is required and must be a boolean")
    extinfo = app_data.get("extinfo")
    if (
        not isinstance(extinfo, list)
        or len(extinfo) != _EXTINFO_SLOTS
        or extinfo[0] not in ("a2", "i2")
    ):
        raise EventRefusal(
            "app_data.extinfo",
            f"must be an array of {_EXTINFO_SLOTS} values that starts with a2 (Android) or i2 "
            "(iOS)",
            subcode=BAD_EXTINFO,
        )


def _check_no_web_fields(event: dict[str, Any], user_data: dict[str, Any]) -> None:
    if user_data.get("fbc"):
        raise EventRefusal(
            "user_data.fbc",
            "is not valid for business_messaging events",
            subcode=WEB_FIELD_IN_MESSAGING,
        )
    for name in ("fbp", "client_ip_address", "client_user_agent"):
        if user_data.get(name):
            raise EventRefusal(
                f"user_data.{name}",
                "is a web parameter and must not be sent with business_messaging",
            )
    if event.get("event_source_url"):
        raise EventRefusal(
            "event_source_url", "is a web parameter and must not be sent with business_messaging"
        )


def _check_whatsapp(user_data: dict[str, Any]) -> None:
    _require(user_data, "ctwa_clid", subcode=BAD_CTWA_CLID)
    if not user_data.get("page_id"):
        _require(user_data, "whatsapp_business_account_id", subcode=NO_WHATSAPP_ACCOUNT)


def _check_instagram(user_data: dict[str, Any]) -> None:
    if not user_data.get("instagram_business_account_id"):
        _require(user_data, "ig_account_id", subcode=NO_INSTAGRAM_ACCOUNT)
    _require(user_data, "ig_sid")


def _require(user_data: dict[str, Any], name: str, *, subcode: int | None = None) -> None:
    if user_data.get(name):
        return
    field, detail = f"user_data.{name}", "is required for this messaging channel"
    raise (
        EventRefusal(field, detail)
        if subcode is None
        else EventRefusal(field, detail, subcode=subcode)
    )
