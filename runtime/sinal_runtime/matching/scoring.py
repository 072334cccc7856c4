"""How well each click fits a sale, and which one it is: rule, score, signals and runner-up. Pure and deterministic.

Invariants: a score lies in 0..1; a competitor that fits as well never raises it; hints alone never make a match under
the default thresholds; the order of candidates does not matter.
"""

from __future__ import annotations

import msgspec

from sinal_crds.plan import MatchingPlan
from sinal_runtime.matching import signals as table
from sinal_runtime.matching.evidence import Candidate, Subject, merge_candidates

NO_RULE = "none"
WEIGHTED = "weighted"


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


class Score(msgspec.Struct, kw_only=True, frozen=True):
    """The best click of a sale and why; `candidate` is None when no click of the window agrees in anything.

    `visitors` used the sale's address around that time; `rivals` are other visitors that fit as well.
    """

    rule: str = NO_RULE
    score: float = 0.0
    signals: list[Agreement] = []
    runner_up: RunnerUp | None = None
    candidate: Candidate | None = None
    visitors: int = 0
    rivals: int = 0


def best(subject: Subject, candidates: list[Candidate], plan: MatchingPlan) -> Score:
    """The click that fits best, its score lowered where another visitor fits as well."""
    eligible = [candidate for candidate in merge_candidates(candidates) if in_window(subject, candidate, plan)]
    visitors = _visitors_of_address(subject, eligible)
    scored = [score for candidate in eligible if (score := rate(subject, candidate, visitors)).score > 0]
    if not scored:
        return Score()
    scored.sort(key=_preference, reverse=True)
    top, others = scored[0], scored[1:]
    rivals = _rivals(top, others)
    worth = top.score * (1 + 1 / (rivals + 1)) / 2  # k visitors that fit leave it (1 + 1/k) / 2 of its worth
    return msgspec.structs.replace(
        top, score=round(worth, 4), runner_up=_runner_up(others), visitors=visitors, rivals=rivals
    )


def in_window(subject: Subject, candidate: Candidate, plan: MatchingPlan) -> bool:
    """Whether the visit lies in the funnel's window before the sale; visits without an ad click have their own."""
    sure = candidate.click_id in subject.click_ids or candidate.session_id in subject.session_ids
    window_ms = (plan.click_window_s if candidate.from_ad or sure else plan.view_window_s) * 1000
    skew_ms = table.SURE_SKEW_MS if sure else table.CLOCK_SKEW_MS
    return candidate.first_at <= subject.last_at + skew_ms and candidate.last_at >= subject.first_at - window_ms


def rate(subject: Subject, candidate: Candidate, visitors: int) -> Score:
    """One click against one sale; `visitors` used the sale's address around that time."""
    agreements = _agreements(subject, candidate, visitors)
    agreeing = [found for found in agreements if found.agrees]
    strong = [found for found in agreeing if table.BY_NAME[found.name].strength != "hint"]
    top = max(strong, key=lambda found: (found.weight, -table.ORDER[found.name]), default=None)
    together = min(_combined(agreeing), table.HINTS_AT_MOST)
    if top is not None and top.weight >= together:
        rule, score = top.name, top.weight
    else:
        rule, score = (WEIGHTED, together) if agreeing else (NO_RULE, 0.0)
    if rule in (WEIGHTED, "ip_user_agent") and _other_person(subject, candidate):
        score *= table.CONTRADICTED
    return Score(rule=rule, score=round(score, 4), signals=agreements, candidate=candidate)


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


def _agreements(subject: Subject, candidate: Candidate, visitors: int) -> list[Agreement]:
    found = [
        Agreement(name, table.BY_NAME[name].weight, bool(set(ours) & set(theirs)))
        for name, ours, theirs in _comparable(subject, candidate)
        if ours and theirs
    ]
    found.extend(_network(subject, candidate, visitors))
    if any(agreement.agrees for agreement in found):
        found.append(_weighed("hour", age_ms(subject, candidate) <= table.HOUR_MS))
    return sorted(found, key=lambda agreement: table.ORDER[agreement.name])


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


_TELLING = ("campaign", "content", "term")  # source and medium are the same for everybody who comes from ads


def _network(subject: Subject, candidate: Candidate, visitors: int) -> list[Agreement]:
    """Address and user agent: together while fresh, then each for itself, the address only for a day."""
    same_agent = candidate.user_agent in subject.user_agents if candidate.user_agent else False
    comparable_agent = bool(candidate.user_agent and subject.user_agents)
    age = age_ms(subject, candidate)
    found: list[Agreement] = []
    if candidate.ip and subject.ips and age <= table.ADDRESS_WINDOW_MS:
        same_address = candidate.ip in subject.ips
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


def age_ms(subject: Subject, candidate: Candidate) -> int:
    """Distance in time between the visit and the nearer end of the order's events."""
    moments = (subject.first_at, subject.last_at)
    return min(abs(moment - seen) for moment in moments for seen in (candidate.first_at, candidate.last_at))


def _visitors_of_address(subject: Subject, candidates: list[Candidate]) -> int:
    people: list[Candidate] = []
    for candidate in candidates:
        near = candidate.ip in subject.ips and age_ms(subject, candidate) <= table.ADDRESS_WINDOW_MS
        if near and not any(same_person(candidate, other) for other in people):
            people.append(candidate)
    return len(people)


def same_person(one: Candidate, other: Candidate) -> bool:
    """Whether two clicks are surely of one visitor."""
    ids = ("click_id", "session_id", "fbp", "external_id")
    if any(getattr(one, name) is not None and getattr(one, name) == getattr(other, name) for name in ids):
        return True
    if set(one.emails) & set(other.emails) or set(one.phones) & set(other.phones):
        return True
    same_click = one.fbclid is not None and one.fbclid == other.fbclid
    return same_click and one.ip == other.ip and one.user_agent == other.user_agent


def _other_person(subject: Subject, candidate: Candidate) -> bool:
    return bool(subject.emails and candidate.emails) and not set(subject.emails) & set(candidate.emails)


def _preference(score: Score) -> tuple[float, int, bool, int, str]:
    """Best first: score, the more telling rule, an ad click before a plain visit, the latest, then any fixed order."""
    candidate = score.candidate
    assert candidate is not None  # noqa: S101 - rate() always names its candidate
    place = -table.ORDER.get(score.rule, len(table.ORDER))
    return score.score, place, candidate.from_ad, candidate.last_at, candidate.click_id


def _rivals(top: Score, others: list[Score]) -> int:
    """How many other visitors fit as well; none where the visitor is proved."""
    if top.rule in table.BY_NAME and table.BY_NAME[top.rule].strength == "sure":
        return 0
    rivals: list[Candidate] = []
    for other in others:
        close = other.score >= top.score - table.TIE
        known = [candidate for candidate in (top.candidate, *rivals) if candidate is not None]
        if close and other.candidate and not any(same_person(other.candidate, known_) for known_ in known):
            rivals.append(other.candidate)
    return len(rivals)


def _runner_up(others: list[Score]) -> RunnerUp | None:
    for other in others:
        if other.candidate is not None:
            return RunnerUp(other.candidate.click_id, other.rule, other.score)
    return None


def _one(value: str | None) -> list[str]:
    return [] if value is None else [value]
