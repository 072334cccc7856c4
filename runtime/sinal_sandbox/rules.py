"""Whether Meta would take one event: the documented rules in the order time, source, person,
purchase.

Pure: the time and the policy come in, a verdict or a Refusal goes out. One refused event costs the
whole request; that is the caller's business. Fields that Meta doesn't document are left alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sinal_sandbox import channels, commerce, customer
from sinal_sandbox.refusals import IN_FUTURE, TOO_OLD, EventRefusal

# Meta refuses the whole request for one event that is older.
MAX_AGE_S = 7 * 86_400
MAX_AGE_STORE_S = 62 * 86_400  # physical_store
MAX_AHEAD_S = 60  # the real tolerance is not documented
ACTION_SOURCES = frozenset(
    {
        "email",
        "website",
        "app",
        "phone_call",
        "chat",
        "physical_store",
        "system_generated",
        "business_messaging",
        "other",
    }
)
# data_processing_options_state: none, or one of 14 US states
_STATES = frozenset({0, *range(1000, 1014)})


class AcceptedEvent(NamedTuple):
    """What the emulator keeps of an acceptable event besides its bytes."""

    event_name: str
    event_id: str | None
    order_id: str | None
    event_time: int  # Unix seconds
    is_web: bool
    identifiers: int  # mask, see `customer.BITS`


def check(event: Any, *, now_s: float, messaging_names: frozenset[str]) -> AcceptedEvent:
    """The verdict on one event; raises Refusal naming the field."""
    if not isinstance(event, dict):
        raise EventRefusal("", "must be an object")
    name, source = event.get("event_name"), event.get("action_source")
    if not isinstance(name, str) or not name.strip():
        raise EventRefusal("event_name", "is required and must be a string")
    if not isinstance(source, str) or source not in ACTION_SOURCES:
        raise EventRefusal(
            "action_source", f"is required and must be one of {', '.join(sorted(ACTION_SOURCES))}"
        )
    event_time = _check_time(event.get("event_time"), source, now_s)
    event_id = event.get("event_id")
    if event_id is not None and not isinstance(event_id, str):
        raise EventRefusal("event_id", "must be a string")
    _check_source(event, source, messaging_names)
    identifiers = customer.check(event.get("user_data"))
    order_id = commerce.check(name, event.get("custom_data"))
    _check_flags(event)
    return AcceptedEvent(
        name, event_id or None, order_id, event_time, source == "website", identifiers
    )


def _check_time(event_time: Any, source: str, now_s: float) -> int:
    if type(event_time) is not int:
        raise EventRefusal("event_time", "is required and must be an integer, Unix time in seconds")
    limit = MAX_AGE_STORE_S if source == "physical_store" else MAX_AGE_S
    if event_time < now_s - limit:
        raise EventRefusal(
            "event_time", f"is more than {limit // 86_400} days old", subcode=TOO_OLD
        )
    if event_time > now_s + MAX_AHEAD_S:
        raise EventRefusal(
            "event_time", "is in the future (Unix time in seconds is expected)", subcode=IN_FUTURE
        )
    return event_time


def _check_source(event: dict[str, Any], source: str, messaging_names: frozenset[str]) -> None:
    if source == "website":
        url = event.get("event_source_url")
        if not isinstance(url, str) or not url.startswith(("https://", "http://")):
            raise EventRefusal(
                "event_source_url", "is required for action_source website and must be a URL"
            )
        user_data = event.get("user_data")
        if isinstance(user_data, dict) and not user_data.get("client_user_agent"):
            raise EventRefusal(
                "user_data.client_user_agent", "is required for action_source website"
            )
    elif source == "business_messaging":
        channels.check_messaging(event, messaging_names)
    elif source == "app":
        channels.check_app(event.get("app_data"))


def _check_flags(event: dict[str, Any]) -> None:
    opt_out = event.get("opt_out")
    if opt_out is not None and type(opt_out) is not bool:
        raise EventRefusal("opt_out", "must be a boolean")
    if "customer_segmentation" in event:
        commerce.check_segment("customer_segmentation", event["customer_segmentation"])
    if "data_processing_options" in event:
        _check_processing(event)


def _check_processing(event: dict[str, Any]) -> None:
    """Limited Data Use: a country, and a state unless Meta can tell it from the IP address."""
    options = event["data_processing_options"]
    if options in (None, []):
        return
    if options != ["LDU"]:
        raise EventRefusal("data_processing_options", 'must be [] or ["LDU"]')
    country, state = (event.get(f"data_processing_options_{part}") for part in ("country", "state"))
    if type(country) is not int or country not in (0, 1):
        raise EventRefusal(
            "data_processing_options_country", "is required with LDU and must be 0 or 1"
        )
    has_ip = bool(event["user_data"].get("client_ip_address"))
    if state is None and has_ip and country == 0:
        return
    if type(state) is not int or state not in _STATES:
        raise EventRefusal("data_processing_options_state", "must be 0 or 1000 to 1013")
