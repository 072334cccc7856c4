"""Whose a click is: the same visitor's, another person's, or nobody's that an e-mail of many could
name. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from sinal_hub.model.events import Event, UserData
from sinal_hub.model.evidence import Candidate, Subject

# browsers of differing people: an e-mail or phone that so many used names none of them
SHARED_BY = 3
_BROWSER = ("click_id", "session_id", "fbp", "external_id")


def same_browser(one: Candidate, other: Candidate) -> bool:
    """Whether an id of the browser, or of the person who is logged in, is the same."""
    return any(
        getattr(one, name) is not None and getattr(one, name) == getattr(other, name)
        for name in _BROWSER
    )


def same_person(one: Candidate, other: Candidate) -> bool:
    """Whether two clicks are surely of one visitor."""
    if (
        same_browser(one, other)
        or set(one.emails) & set(other.emails)
        or set(one.phones) & set(other.phones)
    ):
        return True
    # An fbclid alone proves nobody: links of ads are passed on with it.
    same_click = one.fbclid is not None and one.fbclid == other.fbclid
    return same_click and one.ip == other.ip and one.user_agent == other.user_agent


def without_shared(subject: Subject, candidates: Sequence[Candidate]) -> frozenset[str]:
    """E-mails and phones of the sale that name nobody: three or more browsers of differing people
    used them.
    """
    return frozenset(
        digest
        for digest in (*subject.emails, *subject.phones)
        if len(using := [one for one in candidates if digest in one.emails or digest in one.phones])
        >= SHARED_BY
        and _people(digest, using) >= SHARED_BY
    )


def _people(digest: str, using: Sequence[Candidate]) -> int:
    """How many differ from each other.

    A browser that tells nothing else may be anybody's of them.
    """
    browsers: list[list[Candidate]] = []
    for candidate in sorted(using, key=lambda one: one.click_id):
        own = [
            browser for browser in browsers if any(same_browser(candidate, one) for one in browser)
        ]
        browsers = [browser for browser in browsers if browser not in own]
        browsers.append([candidate, *(one for browser in own for one in browser)])
    # Who is counted as a further person depends on who was counted before. In a fixed sequence the
    # same rows give the same score at every look.
    told = sorted(
        (_told(digest, browser) for browser in browsers),
        key=lambda names: sorted(map(sorted, names)),
    )
    people: list[tuple[frozenset[str], ...]] = []
    for names in told:
        if all(_differ(names, known) for known in people):
            people.append(names)
    return len(people)


def _told(digest: str, browser: Iterable[Candidate]) -> tuple[frozenset[str], ...]:
    """What else a browser's forms told: e-mails, phones, last names."""
    seen = list(browser)
    return (
        frozenset(one for click in seen for one in click.emails) - {digest},
        frozenset(one for click in seen for one in click.phones) - {digest},
        frozenset(one for click in seen for one in click.user.ln),
    )


def _differ(one: tuple[frozenset[str], ...], other: tuple[frozenset[str], ...]) -> bool:
    """Whether something both told differs and nothing agrees."""
    both = [(ours, theirs) for ours, theirs in zip(one, other, strict=True) if ours and theirs]
    return bool(both) and not any(ours & theirs for ours, theirs in both)


def agreeing(
    subject: Subject, candidate: Candidate, shared: frozenset[str]
) -> tuple[set[str], set[str]]:
    """E-mails and phones of the sale that were given on the click, without those that name
    nobody.
    """
    return (set(subject.emails) & set(candidate.emails)) - shared, (
        set(subject.phones) & set(candidate.phones)
    ) - shared


def differing(subject: Subject, candidate: Candidate, shared: frozenset[str]) -> tuple[bool, bool]:
    """Whether the click knows another e-mail, another phone, than the sale's, and not the sale's
    too.
    """
    return (
        _apart(subject.emails, candidate.emails, shared),
        _apart(subject.phones, candidate.phones, shared),
    )


def completing(click: Candidate, event: Event) -> UserData:
    """What the click's forms add to an event's own data: never another e-mail or phone, nothing
    where both differ.
    """
    emails, phones = {*event.user.em}, {*event.user.ph}
    theirs = {*click.user.em, *click.emails}, {*click.user.ph, *click.phones}
    both = [
        (ours, told) for ours, told in zip((emails, phones), theirs, strict=True) if ours and told
    ]
    if both and not any(ours & told for ours, told in both):
        return UserData()
    return msgspec.structs.replace(
        click.user, em=[] if emails else click.user.em, ph=[] if phones else click.user.ph
    )


def of_others(subject: Subject, candidate: Candidate, shared: frozenset[str]) -> bool:
    """Whether only other people's e-mails and phones were given on the click."""
    return any(differing(subject, candidate, shared)) and not any(
        agreeing(subject, candidate, shared)
    )


def _apart(ours: Sequence[str], theirs: Sequence[str], shared: frozenset[str]) -> bool:
    mine, others = set(ours) - shared, set(theirs) - shared
    return bool(mine and others) and not mine & others
