"""Sinal's stable words in sentences for a person: why an event ended as it did, and what ties a
sale to a click.
"""

from __future__ import annotations

import json
import re

ANSWER = 200  # characters of an answer that has no message
# an answer is kept up to a length, so it may be no whole JSON
_FIELD = r'"%s"\s*:\s*("(?:[^"\\]|\\.)*")'
_MESSAGES = [re.compile(_FIELD % name) for name in ("error_user_msg", "message")]
_TRACE = re.compile(_FIELD % "fbtrace_id")

REASONS = {
    "policy": "the funnel sends nothing for this kind or status of event (its `events`, `renewals` "
    "and `freeOrders`)",
    "duplicate": "this order's event was sent before, and Meta shall count it once",
    "no_consent": "the buyer did not agree, or was not asked where the funnel's default is Denied "
    "or their country "
    "requires consent",
    "test": "it came from the gateway's test button",
    "ignored": "it means nothing for sales",
    "out_of_order": "the order has a later state already",
    "unmatched": "no click was found, and the funnel drops such sales; a late click opens it again",
    "review": "the match is doubtful, and the funnel holds such sales: it waits for `sinal review "
    "accept` or `reject`",
    "crawler": "a program loaded the page: a link preview, a search engine, a monitor, a headless "
    "browser",
    "suspended": "the tenant is suspended",
    "no_destination": "the funnel names no destination that exists",
    "unidentifiable": "nothing is known of the person that Meta could match",
    "rejected": "Meta refuses this very event",
    "too_old": "it is older than the seven days that Meta takes",
    "exhausted": "it was refused again and again without a reason that is known",
    "in_doubt": "an answer never came, so Meta may have counted it; the destination leaves such "
    "events to a person",
    "internal_error": "of a fault of Sinal's own; its body is kept",
    "erased": "the person's data was erased on request",
}

# `rejected` without Meta's word
KEPT_BACK = "it breaks a rule of Meta's: Sinal kept it back, Meta was not asked"

UNREAD = "the gateway's API did not tell the sale"  # of a notice

SIGNALS = {
    "click_id": "our own click id came back through the checkout",
    "session_id": "our own session id came back",
    "email": "the same e-mail was given on that visit, or bought through that click before",
    "phone": "the same phone was given on that visit, or bought through that click before",
    "click_id_case": "our own click id came back in another case",
    "click_id_part": "the beginning of our own click id came back",
    "known_browser": "the buyer's e-mail or phone was given in that browser before",
    "external_id": "your own customer id is the same",
    "fbc": "Meta's click cookie is the same",
    "fbclid": "it is the same ad click",
    "fbp": "Meta's browser cookie is the same",
    "ip_user_agent": "address and browser are the same",
    "ip": "the address is the same",
    "email_shared": "the same e-mail was given, which many people use",
    "phone_shared": "the same phone was given, which many people use",
    "user_agent": "the browser is the same",
    "utm": "campaign, content or term is the same",
    "product": "the product bought is the one looked at",
    "hour": "less than an hour lies between them",
}


def why(reason: str | None) -> str:
    """The sentence of a reason; a word that is not known stands for itself."""
    return "" if reason is None else REASONS.get(reason, reason)


def meta_said(answer: str) -> str:
    """Meta's message and the id that its support asks for, without the JSON around them."""
    message = next((found for pattern in _MESSAGES if (found := pattern.search(answer))), None)
    if message is None:
        return answer if len(answer) <= ANSWER else answer[: ANSWER - 1] + "…"
    trace = _TRACE.search(answer)
    return f"{json.loads(message[1])}" + (f" (fbtrace_id {json.loads(trace[1])})" if trace else "")
