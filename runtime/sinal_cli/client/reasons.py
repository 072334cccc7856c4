"""The API's reasons (`why`, `waiting`, refusals) as sentences: what was absent, what it means, what
to change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sinal_cli.client.show import moment

Params = dict[str, Any]

GATEWAY = "the gateway"
UNMATCHED = "docs/users/unmatched.md"
TRACKER = "docs/users/tracker.md"


def _gateway(params: Params) -> str:
    return params.get("gateway") or GATEWAY


def _no_visits(params: Params) -> str:
    last = f" (the last was {moment(params['last_at'])})" if params.get("last_at") else ""
    return (
        f"No page of funnel {params['funnel']} told of a visit in the {params['days']} days "
        f"before{last}: "
        f"put the script on its pages ({TRACKER})."
    )


def _unseen(what: str) -> Callable[[Params], str]:
    def sentence(params: Params) -> str:
        if params.get("last_at"):
            return (
                f"The buyer's {what} was last given on {moment(params['last_at'])}, outside the "
                f"{params['days']} days "
                "that the funnel looks back (matching.clickWindow)."
            )
        return (
            f"Nobody gave this {what} on a page of yours in the {params['days']} days before: have "
            "the page that asks "
            f"for it tell of it ({TRACKER})."
        )

    return sentence


def _shared(params: Params) -> str:
    weight = (
        f": it counts {params['weight']:.2f}, not 0.45 (divided by √{params['visitors']})"
        if _short(params)
        else ""
    )
    return (
        f"{params['visitors']} visitors used the sale's address within a day, as on mobile "
        f"networks{weight} "
        "(docs/users/matching.md)."
    )


def _short(params: Params) -> bool:
    return params.get("weight") is not None and params["weight"] < 0.45


def _from(params: Params) -> str:
    return f" from {params['destination']}" if params.get("destination") else ""


# how the detail of a notice begins whose sale the gateway's API was asked for
READBACK = "read-back: "
UNREAD = {
    "denied": "refused the integration's credentials: put a token that it takes into the "
    "integration's Secret "
    "(docs/users/gateways.md says into which key)",
    "busy": "did not answer again and again: see whether it is up",
    "not_understood": "answered something that the adapter does not read: it needs an update",
}


def _unread(params: Params) -> str:
    """What the gateway's API did where a notice was read back in vain; empty for anything else."""
    _, found, outcome = params["detail"].partition(READBACK)
    return (
        f"The notice holds no sale, and the gateway's API {UNREAD.get(outcome, outcome)}."
        if found
        else ""
    )


# Why Sinal gives up by itself, as far as the detail alone does not say it.
SCREENED = {
    "rejected": ", since Meta would refuse it",
    "too_old": ", since Meta takes nothing so old",
    "unidentifiable": ", since Meta could match nobody",
}

NOTES: dict[str, Callable[[Params], str]] = {
    "no_visits": _no_visits,
    "click_id_absent": lambda p: (
        f"No click id came back through {_gateway(p)}: put the script on the page whose button "
        "leads to the checkout, "
        f"so that its link carries the id ({TRACKER})."
    ),
    "click_id_unknown": lambda p: (
        f"A click id came back ({p['click_id']}) and no visit has it: the visit was blocked, is of "
        "another tenant, or "
        f"is older than {p['days']} days ({UNMATCHED})."
    ),
    "email_absent": lambda p: f"{_gateway(p).capitalize()} gave no e-mail with this sale.",
    "phone_absent": lambda p: f"{_gateway(p).capitalize()} gave no phone with this sale.",
    "email_unseen": _unseen("e-mail"),
    "phone_unseen": _unseen("phone"),
    "address_absent": lambda p: (
        f"{_gateway(p).capitalize()} gave no address of the buyer, so visits cannot be compared by "
        "it."
    ),
    "address_unseen": lambda p: (
        f"No visit within {p['hours']} hours had the buyer's address: other device, or other "
        "network."
    ),
    "browser_absent": lambda p: (
        f"{_gateway(p).capitalize()} named no browser: an address alone is never a match."
    ),
    "address_shared": _shared,
    "rivals": lambda p: (
        f"{p['visitors']} visitors fit as well as each other, so that each counts less."
    ),
    "other_email": lambda _: (
        "The visitor gave another e-mail or phone than the buyer: the score counts 0.72 of itself."
    ),
    "below_threshold": lambda p: (
        f"The score is {p['score']:.2f}; {p['needed']:.2f} would be a "
        f"{'match' if p['decision'] == 'review' else 'review'} (the funnel's matching, "
        "docs/users/matching.md)."
    ),
    "kept_back": lambda p: (
        _unread(p) or f"Sinal kept it back{_from(p)}{SCREENED.get(p['reason'], '')}: {p['detail']}."
    ),
    "waits_for_click": lambda p: (
        "It waits for a late click"
        + (
            f" until {moment(p['until'])}"
            if p.get("until")
            else ", and its time is over: it goes within a second"
        )
        + " (matching.waitForClickSeconds)."
    ),
    "suspended_no_more": lambda p: (
        f"Tenant {p['tenant']} is suspended no more: `sinal replay` with --reason suspended sends "
        "it."
    ),
    "destinations_now": lambda p: (
        f"The funnel has a destination now ({p['destinations']}): `sinal replay` with --reason "
        "no_destination sends it."
    ),
}

BREAKERS = {
    "credential": "Meta refuses the destination's token{code}: put a good one into its Secret",
    "configuration": "Meta does not know the pixel, or refuses its version{code}: correct the "
    "destination",
}


def _breaker(params: Params) -> str:
    code = f" (code {params['code']})" if params.get("code") is not None else ""
    words = BREAKERS.get(params.get("reason") or "", "Meta fails again and again{code}")
    return "the destination's breaker is open: " + words.format(code=code)


WAITING: dict[str, Callable[[Params], str]] = {
    "destination_gone": lambda _: (
        "the tenant has this destination no more: it is given up after seven days"
    ),
    "suspended": lambda p: f"the {p['what']} is suspended: it is sent as soon as that is resumed",
    "no_token": lambda p: (
        f"the destination has no token: {p.get('problem') or 'see its manifest and its Secret'}"
    ),
    "sending": lambda _: "a request is under way",
    "breaker_open": _breaker,
    "throttled": lambda _: "Meta wants fewer requests for a while",
    "backing_off": lambda p: (
        f"it failed {p['attempts']} time{'' if p['attempts'] == 1 else 's'}, and waits longer "
        "after each"
    ),
    "due": lambda _: "it is due now",
    "queued": lambda _: "its turn comes within seconds, unless much waits before it",
}

REFUSALS: dict[str, str] = {
    "proof_missing": "{missing} is missing, by which {gateway} proves itself: copy the secret of "
    "its panel into the "
    "integration's Secret, and see that the panel sends it",
    "proof_wrong": "its proof does not fit the integration's secret: copy the secret of "
    "{gateway}'s panel into the "
    "integration's Secret",
    "other_gateway": "the URL is of another gateway's integration: copy the right one into "
    "{gateway}'s panel",
    "unknown_url": "no integration has this URL: compare the URL in {gateway}'s panel with the "
    "integration's",
    "unknown_tenant": "no tenant is at this path or host: compare the URL in {gateway}'s panel "
    "with the integration's",
    "ambiguous": "one secret is of several integrations: give each the URL with its own token",
    "no_credentials": "the integration's Secret has no value: put the secret of {gateway}'s panel "
    "there",
    "suspended": "the integration, its funnel or its tenant is suspended: nothing is taken, the "
    "gateway comes again",
    "no_adapter": "the edge has no adapter of this gateway: install its package",
    "too_large": "the body is larger than a mebibyte",
    "too_slow": "the body did not arrive in time",
    "too_many": "too many at once, or the tenant's queue is full; the gateway comes again",
    "quarantine_full": "nobody understands these, and the tenant's share of quarantine is used up: "
    "they were answered "
    "202 and only a digest of each was kept; `sinal quarantine list` shows what is there",
    "not_stored": "neither the broker nor the disk took it; the gateway comes again",
}


def note(one: Params) -> str:
    """A sentence of `why`; a word that is not known stands for itself."""
    known = NOTES.get(one["code"])
    return known(one["params"]) if known else one["code"]


def waits(delivery: Params) -> str:
    """Why a delivery waits and when it is tried next; empty where nothing says."""
    one = delivery.get("waiting")
    if not one:
        return ""
    known = WAITING.get(one["code"])
    again = f"; it is tried next {moment(delivery['next_at'])}" if delivery.get("next_at") else ""
    return (known(one["params"]) if known else one["code"]) + again


def refusal(row: Params) -> str:
    """Refused deliveries of one reason, in a sentence."""
    count = row["deliveries"]
    senders = f", from {', '.join(row['networks'])}" if row["networks"] else ""
    return (
        f"{count} deliver{'y' if count == 1 else 'ies'} of {addressed(row)} refused, the last "
        f"{moment(row['last_at'])}{senders}: {refused_because(row)}"
    )


def addressed(row: Params) -> str:
    """Which gateway a refused delivery names, and whose it seems to be."""
    whose = (
        "/".join(row[name] for name in ("tenant", "integration") if row[name]) or "URLs of nobody"
    )
    return f"{row['gateway'] or GATEWAY} to {whose}"


def refused_because(row: Params) -> str:
    """Why a delivery was refused, and the way out."""
    words = REFUSALS.get(row["reason"], str(row["reason"]))
    return words.format(missing=row["missing"], gateway=row["gateway"] or GATEWAY)
