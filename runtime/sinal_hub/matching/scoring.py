"""How well each click fits a sale, and which one it is: rule, score, signals and runner-up.

Pure and deterministic.

Invariants: a score lies in 0..1; a competitor that fits as well never raises it; hints alone never
make a match under the default thresholds; the order of candidates does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sinal_crds.plan import MatchingPlan
from sinal_hub.matching import people
from sinal_hub.model import signals as table
from sinal_hub.model.evidence import (
    Agreement,
    Candidate,
    RunnerUp,
    Subject,
    merge_candidates,
    network_of,
    part_of,
)

NO_RULE = "none"
WEIGHTED = "weighted"


class Score(msgspec.Struct, kw_only=True, frozen=True):
    """The best click of a sale and why.

    `candidate` is None when no click of the window agrees in anything.

    `visitors` used the sale's address around that time; `rivals` are other visitors that fit as
    well. `browsers` are the clicks that were recognised: of their browsers' ad clicks the last
    before the purchase is the `candidate`.
    """

    rule: str = NO_RULE
    score: float = 0.0
    signals: list[Agreement] = []
    runner_up: RunnerUp | None = None
    candidate: Candidate | None = None
    visitors: int = 0
    rivals: int = 0
    browsers: list[Candidate] = []


def best(subject: Subject, candidates: list[Candidate], plan: MatchingPlan) -> Score:
    """The click that fits best, its score lowered where another visitor fits as well."""
    known = merge_candidates(candidates)
    shared = people.without_shared(subject, known)
    eligible = [candidate for candidate in known if in_window(subject, candidate, plan)]
    visitors = _visitors_of_address(subject, eligible)
    older = _older_proofs(subject, known, eligible, shared)
    scored = [
        score
        for one in eligible
        if (score := rate(subject, one, visitors, shared, older)).score > 0
    ]
    if not scored:
        return Score()
    scored.sort(key=lambda score: _preference(subject, score), reverse=True)
    top, others = scored[0], scored[1:]
    rivals = _rivals(top, others)
    # k visitors that fit leave it (1 + 1/k) / 2 of its worth
    worth = top.score * (1 + 1 / (rivals + 1)) / 2
    last, browsers = (
        (top.candidate, [top.candidate])
        if rivals
        else _last_click(subject, scored, eligible, shared)
    )
    return msgspec.structs.replace(
        top,
        score=round(worth, 4),
        candidate=last,
        runner_up=_runner_up(scored, last),
        visitors=visitors,
        rivals=rivals,
        browsers=[browser for browser in browsers if browser is not None],
    )


def _older_proofs(
    subject: Subject, known: list[Candidate], eligible: list[Candidate], shared: frozenset[str]
) -> list[Candidate]:
    """Visits from before the window on which the buyer's e-mail or phone was given: they tell whose
    browser it is.
    """
    inside = {candidate.click_id for candidate in eligible}
    return [
        candidate
        for candidate in known
        if candidate.click_id not in inside
        and subject.bought_at - table.PROOF_MS <= candidate.last_at <= subject.bought_at
        and any(people.agreeing(subject, candidate, shared))
    ]


def in_window(subject: Subject, candidate: Candidate, plan: MatchingPlan) -> bool:
    """Whether the visit lies in the funnel's window before the purchase.

    Visits without an ad click have their own.

    An id of the visit that came back with the sale proves the order of things, whatever the clocks
    say.
    """
    named = candidate.click_id in subject.click_ids
    session, clicked = (
        candidate.session_id in subject.session_ids,
        candidate.fbclid in subject.fbclids,
    )
    ours = candidate.from_ad or candidate.fbclid is not None or named or session
    window_ms = (plan.click_window_s if ours else plan.view_window_s) * 1000
    skew_ms = table.SURE_SKEW_MS if named else table.CLOCK_SKEW_MS if session or clicked else 0
    return (
        candidate.first_at <= subject.bought_at + skew_ms
        and candidate.last_at >= subject.bought_at - window_ms
    )


def rate(
    subject: Subject,
    candidate: Candidate,
    visitors: int,
    shared: frozenset[str] = frozenset(),
    older: Sequence[Candidate] = (),
) -> Score:
    """One click against one sale.

    `visitors` used its address, `shared` e-mails and phones name nobody.

    `older` are visits from before the window that were the buyer's.
    """
    agreements = _agreements(subject, candidate, visitors, shared)
    if any(people.same_browser(candidate, one) for one in older):
        agreements = sorted(
            [*agreements, _weighed("known_browser", agrees=True)],
            key=lambda one: table.ORDER[one.name],
        )
    agreeing = [found for found in agreements if found.agrees]
    strong = [found for found in agreeing if table.BY_NAME[found.name].strength != "hint"]
    top = max(strong, key=lambda found: (found.weight, -table.ORDER[found.name]), default=None)
    # However much agrees: only a signal that is strong by itself reaches a match under the default
    # threshold.
    together = min(_combined(agreeing), table.HINTS_AT_MOST)
    if top is not None and top.weight >= together:
        rule, score = top.name, top.weight
    else:
        rule, score = (WEIGHTED, together) if agreeing else (NO_RULE, 0.0)
    if contradicted(rule, subject, candidate, shared):
        score *= table.CONTRADICTED
    elif rule == "email" and people.differing(subject, candidate, shared)[1]:
        score *= table.DOUBTED
    return Score(rule=rule, score=round(score, 4), signals=agreements, candidate=candidate)


def contradicted(rule: str, subject: Subject, candidate: Candidate, shared: frozenset[str]) -> bool:
    """Whether the visitor gave another e-mail or phone than the buyer, and the rule proves no less
    than that.
    """
    if rule in table.OWN or rule == "email":
        return False
    if rule == "phone":
        return people.differing(subject, candidate, shared)[0]
    return people.of_others(subject, candidate, shared)


def _last_click(
    subject: Subject, scored: list[Score], eligible: list[Candidate], shared: frozenset[str]
) -> tuple[Candidate | None, list[Candidate | None]]:
    """The last ad click before the purchase, of the browsers that the best click proves, and what
    proves them.

    A click that the sale names by our own id is the one. One on which only others gave their e-mail
    or phone is theirs.
    """
    top = scored[0]
    if top.candidate is None or top.rule not in table.BROWSERS or top.rule in table.OWN:
        return top.candidate, [top.candidate]
    if contradicted(top.rule, subject, top.candidate, shared):
        return top.candidate, [top.candidate]
    proved = [
        one.candidate
        for one in scored
        if one.candidate is not None and _proves(one, top, subject, shared)
    ]
    before = [
        candidate
        for candidate in eligible
        if candidate.first_at <= subject.bought_at
        and any(people.same_browser(candidate, browser) for browser in proved)
        and not people.of_others(subject, candidate, shared)
    ]
    ads = [candidate for candidate in before if candidate.from_ad]
    last = max(ads or before, key=lambda one: (one.first_at, one.click_id), default=top.candidate)
    return last, [*proved]


def _proves(one: Score, top: Score, subject: Subject, shared: frozenset[str]) -> bool:
    """Whether a click that agrees is of the buyer's browser: by person or cookie any, by others
    that of the best.
    """
    candidate = one.candidate
    if (
        candidate is None
        or top.candidate is None
        or contradicted(one.rule, subject, candidate, shared)
    ):
        return False
    if one.rule in table.PERSON or one.rule in table.COOKIES:
        # another phone beside the e-mail: maybe another person
        return one.rule != "email" or one.score >= top.score
    return candidate is top.candidate or (
        one.rule in table.BROWSERS and people.same_person(candidate, top.candidate)
    )


def _combined(agreeing: list[Agreement]) -> float:
    """1 - ∏(1 - w): how independent witnesses add up; one voice a group."""
    strongest: dict[str, float] = {}
    for found in agreeing:
        group = table.BY_NAME[found.name].group
        strongest[group] = max(strongest.get(group, 0.0), found.weight)
    doubt = 1.0
    for weight in strongest.values():
        doubt *= 1.0 - weight
    return 1.0 - doubt


def _agreements(
    subject: Subject, candidate: Candidate, visitors: int, shared: frozenset[str]
) -> list[Agreement]:
    found = [
        Agreement(name, table.BY_NAME[name].weight, bool(set(ours) & set(theirs)))
        for name, ours, theirs in _comparable(subject, candidate)
        # A side that says nothing is not evidence against the click.
        if ours and theirs
    ]
    if shared:
        found = [_named(one, subject, candidate, shared) for one in found]
    found.extend(_damaged(subject, candidate))
    found.extend(_network(subject, candidate, visitors))
    # Time says nothing alone: on a busy page somebody was always there within the hour.
    if any(agreement.agrees for agreement in found):
        found.append(_weighed("hour", age_ms(subject, candidate) <= table.HOUR_MS))
    return sorted(found, key=lambda agreement: table.ORDER[agreement.name])


def _named(
    found: Agreement, subject: Subject, candidate: Candidate, shared: frozenset[str]
) -> Agreement:
    """An e-mail or phone that agrees only in what names nobody is a hint."""
    emails, phones = people.agreeing(subject, candidate, shared)
    if found.agrees and (
        (found.name == "email" and not emails) or (found.name == "phone" and not phones)
    ):
        return _weighed(f"{found.name}_shared", agrees=True)
    return found


def _damaged(subject: Subject, candidate: Candidate) -> list[Agreement]:
    """Our own id in another case, or its beginning."""
    if candidate.click_id in subject.click_ids:
        return []
    ours = candidate.click_id.lower()
    parts = [
        part
        for click_id in subject.click_ids
        if (part := part_of(click_id)) and ours.startswith(part)
    ]
    if not parts:
        return []
    return [_weighed("click_id_case" if ours in parts else "click_id_part", agrees=True)]


def _comparable(subject: Subject, candidate: Candidate) -> list[tuple[str, list[str], list[str]]]:
    utm = candidate.utm
    theirs = {name: getattr(utm, name) for name in utm.__struct_fields__}
    campaign = [f"{name}={value}" for name, value in theirs.items() if value and name in _TELLING]
    return [
        ("click_id", subject.click_ids, [candidate.click_id]),
        ("session_id", subject.session_ids, _one(candidate.session_id)),
        ("email", subject.emails, candidate.emails),
        ("phone", subject.phones, candidate.phones),
        ("external_id", subject.external_ids, _one(candidate.external_id)),
        ("fbc", subject.fbcs, _one(candidate.fbc)),
        ("fbclid", subject.fbclids, _one(candidate.fbclid)),
        ("fbp", subject.fbps, _one(candidate.fbp)),
        ("utm", [utm for utm in subject.utms if utm.partition("=")[0] in _TELLING], campaign),
        ("product", subject.products, candidate.products),
    ]


# source and medium are the same for everybody who comes from ads
_TELLING = ("campaign", "content", "term")


def _network(subject: Subject, candidate: Candidate, visitors: int) -> list[Agreement]:
    """Address and user agent: together while fresh, then each for itself, the address only for a
    day.
    """
    same_agent = candidate.user_agent in subject.user_agents if candidate.user_agent else False
    comparable_agent = bool(candidate.user_agent and subject.user_agents)
    age = age_ms(subject, candidate)
    found: list[Agreement] = []
    if candidate.ip and subject.ips and age <= table.ADDRESS_WINDOW_MS:
        same_address = _same_address(subject, candidate)
        alone = table.shared(table.BY_NAME["ip"].weight, visitors)
        pair = table.shared(table.faded(age), visitors)
        apart = 1 - (1 - alone) * (1 - table.BY_NAME["user_agent"].weight)
        if same_address and same_agent and pair > apart:
            return [Agreement("ip_user_agent", round(pair, 4), agrees=True)]
        found.append(Agreement("ip", round(alone, 4), same_address))
    if comparable_agent:
        found.append(_weighed("user_agent", same_agent))
    return found


def _weighed(name: str, agrees: bool) -> Agreement:
    return Agreement(name, table.BY_NAME[name].weight, agrees)


def _same_address(subject: Subject, candidate: Candidate) -> bool:
    return candidate.ip is not None and network_of(candidate.ip) in map(network_of, subject.ips)


def age_ms(subject: Subject, candidate: Candidate) -> int:
    """Distance in time between the visit and the purchase, or the order's first event before it.

    None in a visit.
    """
    begun = (min(subject.first_at, subject.bought_at), subject.bought_at)
    if any(candidate.first_at <= moment <= candidate.last_at for moment in begun):
        return 0
    return min(
        abs(moment - seen) for moment in begun for seen in (candidate.first_at, candidate.last_at)
    )


def _visitors_of_address(subject: Subject, candidates: list[Candidate]) -> int:
    found: list[Candidate] = []
    for candidate in candidates:
        near = (
            _same_address(subject, candidate)
            and age_ms(subject, candidate) <= table.ADDRESS_WINDOW_MS
        )
        if near and not any(people.same_person(candidate, other) for other in found):
            found.append(candidate)
    return len(found)


def _preference(subject: Subject, score: Score) -> tuple[float, int, bool, bool, int, str]:
    """Best first: score, the more telling rule, before the purchase, an ad click, the latest, then
    any fixed order.
    """
    candidate = score.candidate
    assert candidate is not None  # noqa: S101 - rate() always names its candidate
    place = -table.RANKS.get(score.rule, len(table.ORDER))
    before = candidate.first_at <= subject.bought_at
    return score.score, place, before, candidate.from_ad, candidate.first_at, candidate.click_id


def _rivals(top: Score, others: list[Score]) -> int:
    """How many other visitors fit as well; none where the visitor is proved."""
    if top.rule in table.BY_NAME and table.BY_NAME[top.rule].strength == "sure":
        return 0
    rivals: list[Candidate] = []
    for other in others:
        close = other.score >= top.score - table.TIE
        known = [candidate for candidate in (top.candidate, *rivals) if candidate is not None]
        if (
            close
            and other.candidate
            and not any(people.same_person(other.candidate, known_) for known_ in known)
        ):
            rivals.append(other.candidate)
    return len(rivals)


def _runner_up(scored: list[Score], chosen: Candidate | None) -> RunnerUp | None:
    for other in scored:
        if other.candidate is not None and other.candidate is not chosen:
            return RunnerUp(other.candidate.click_id, other.rule, other.score)
    return None


def _one(value: str | None) -> list[str]:
    return [] if value is None else [value]
