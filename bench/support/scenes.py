"""Scenes of the market: everyday ones in about the shares of a Brazilian funnel, and hard ones that
mislead.

Each takes a town and plays one story in it. What is true is never told to matching: `Town.settle`
knows it.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.support.town import DAY, HOUR, MINUTE, SECOND, Town, Visit, shared_by

from sinal_hub.model.sale import Status, Tracking

Scene = Callable[[Town], None]


def _soon(town: Town) -> int:
    """From the click to the purchase: mostly minutes, sometimes days."""
    return (
        town.between(2 * MINUTE, 50 * MINUTE) if town.chance(0.7) else town.between(HOUR, 6 * DAY)
    )


def _began(town: Town, at: int, last: int) -> int | None:
    """When the order was opened, for Pix and boleto; a card is approved at once."""
    if town.chance(0.45):
        return None
    return max(
        at
        - (town.between(MINUTE, 25 * MINUTE) if town.chance(0.85) else town.between(HOUR, 2 * DAY)),
        last,
    )


def _thanks(town: Town, visit: Visit, at: int) -> None:
    """The thank-you page, and now and then a visit in the members' area."""
    if town.chance(0.7):
        town.comes_back(visit, at + town.between(5 * SECOND, 3 * MINUTE))
    if town.chance(0.3):
        town.comes_back(visit, at + town.between(HOUR, 3 * DAY))


def checkout_link(town: Town) -> None:
    """One ad click, whose id comes back through the checkout."""
    who, at = town.person(), town.moment()
    visit = town.visit(
        who, town.browser(), at - _soon(town), typed=who if town.chance(0.3) else None
    )
    town.buys(who, at, slot=visit.id, began=_began(town, at, visit.at))
    _thanks(town, visit, at)


def several_clicks(town: Town) -> None:
    """Several ad clicks of one browser; the checkout carries the last."""
    who, at, browser = town.person(), town.moment(), town.browser()
    for _ in range(town.random.randint(1, 3)):
        town.visit(
            who, browser, at - town.between(HOUR, 6 * DAY), typed=who if town.chance(0.3) else None
        )
    last = town.visit(who, browser, at - town.between(2 * MINUTE, 50 * MINUTE))
    town.buys(who, at, slot=last.id, began=_began(town, at, last.at))
    _thanks(town, last, at)


def form_on_the_page(town: Town) -> None:
    """The slot was lost; the visitor had filled a form in after the click."""
    who, at = town.person(), town.moment()
    visit = town.visit(who, town.browser(), at - _soon(town), typed=who)
    town.buys(who, at, began=_began(town, at, visit.at))
    _thanks(town, visit, at)


def form_then_another_ad(town: Town) -> None:
    """The form was filled in after an earlier click.

    The last click of the same browser names nobody.
    """
    who, at, browser = town.person(), town.moment(), town.browser()
    last = at - _soon(town)
    town.visit(who, browser, last - town.between(10 * MINUTE, 5 * DAY), typed=who)
    visit = town.visit(who, browser, last)
    town.buys(who, at, began=_began(town, at, last))
    _thanks(town, visit, at)


def ad_then_form_without_ad(town: Town) -> None:
    """An ad click first; later the visitor comes back by hand and fills a form in."""
    who, at, browser = town.person(), town.moment(), town.browser()
    last = at - town.between(3 * MINUTE, 15 * HOUR)
    visit = town.visit(who, browser, last - town.between(HOUR, 5 * DAY))
    town.visit(who, browser, last, ad=False, typed=who)
    town.buys(who, at, began=_began(town, at, last))
    _thanks(town, visit, at)


def cookies_of_the_browser(town: Town) -> None:
    """The gateway gives Meta's cookies back, after one or several clicks."""
    who, at, browser = town.person(), town.moment(), town.browser()
    last = at - _soon(town)
    if town.chance(0.5):
        town.visit(
            who,
            browser,
            last - town.between(10 * MINUTE, 3 * DAY),
            typed=who if town.chance(0.5) else None,
        )
    visit = town.visit(who, browser, last)
    fbc = visit.fbc if town.chance(0.5) else None
    town.buys(who, at, tracking=Tracking(fbp=browser.fbp, fbc=fbc), began=_began(town, at, last))
    _thanks(town, visit, at)


def ad_click_in_the_link(town: Town) -> None:
    """The gateway gives the `fbclid` of the link back."""
    who, at = town.person(), town.moment()
    visit = town.visit(
        who, town.browser(), at - _soon(town), typed=who if town.chance(0.3) else None
    )
    town.buys(who, at, tracking=Tracking(fbclid=visit.fbclid), began=_began(town, at, visit.at))
    _thanks(town, visit, at)


def address_and_browser(town: Town) -> None:
    """Nothing but the address and the browser, minutes after the click."""
    who, at, browser = town.person(), town.moment(), town.browser()
    visit = town.visit(who, browser, at - town.between(2 * MINUTE, 25 * MINUTE))
    town.buys(who, at, client=browser)
    _thanks(town, visit, at)


def two_devices(town: Town) -> None:
    """A form on the telephone, another on the computer: the later click counts."""
    who, at = town.person(), town.moment()
    last = at - town.between(3 * MINUTE, 20 * HOUR)
    town.visit(who, town.browser(), last - town.between(HOUR, 5 * DAY), typed=who)
    visit = town.visit(who, town.browser(), last, typed=who)
    town.buys(who, at, began=_began(town, at, last))
    _thanks(town, visit, at)


def upsell(town: Town) -> None:
    """The second order of a buyer, minutes after the first and without a slot."""
    who, at = town.person(), town.moment()
    visit = town.visit(who, town.browser(), at - town.between(3 * MINUTE, 5 * HOUR))
    town.buys(who, at - MINUTE, slot=visit.id)
    town.buys(who, at + town.between(MINUTE, 15 * MINUTE))


def guarantee_ends(town: Town) -> None:
    """A week later the order is complete; meanwhile the buyer clicked on another ad."""
    who, at, browser = town.person(), town.moment(), town.browser()
    visit = town.visit(who, browser, at - _soon(town), typed=who)
    end = at + 7 * DAY
    town.visit(
        who, browser, at + town.between(HOUR, 6 * DAY), typed=who if town.chance(0.5) else None
    )
    town.buys(who, at, began=_began(town, at, visit.at), after=(("completed", end),))


def refund(town: Town) -> None:
    """The money goes back days later; meanwhile the buyer clicked on another ad."""
    who, at, browser = town.person(), town.moment(), town.browser()
    town.visit(who, browser, at - _soon(town), typed=who)
    back = at + town.between(DAY, 6 * DAY)
    town.visit(
        who,
        browser,
        back - town.between(5 * MINUTE, 12 * HOUR),
        typed=who if town.chance(0.5) else None,
    )
    word: Status = "refunded" if town.chance(0.8) else "chargeback"
    town.buys(who, at, after=((word, back),))


def late_click(town: Town) -> None:
    """The click arrives after the sale: a telephone that was offline."""
    who, at = town.person(), town.moment()
    visit = town.visit(
        who,
        town.browser(),
        at - town.between(3 * MINUTE, HOUR),
        typed=who,
        late=town.between(HOUR, 5 * HOUR),
    )
    town.buys(who, at, slot=visit.id if town.chance(0.4) else None)


def late_last_click(town: Town) -> None:
    """An older click is known; the last one arrives after the sale."""
    who, at, browser = town.person(), town.moment(), town.browser()
    last = at - town.between(3 * MINUTE, HOUR)
    town.visit(who, browser, last - town.between(HOUR, 4 * DAY), typed=who)
    town.visit(
        who,
        browser,
        last,
        typed=who if town.chance(0.3) else None,
        late=town.between(HOUR, 5 * HOUR),
    )
    town.buys(who, at)


def no_ad(town: Town) -> None:
    """Somebody who clicked on no ad; half of them were seen."""
    who, at = town.person(), town.moment()
    if town.chance(0.5):
        town.visit(
            who,
            town.browser(),
            at - town.between(3 * MINUTE, 5 * HOUR),
            ad=False,
            typed=who if town.chance(0.5) else None,
        )
    town.buys(who, at, began=_began(town, at, at - DAY))


def slot_with_scratches(town: Town) -> None:
    """The id came back with blanks, in quotes or in a bundle."""
    who, at = town.person(), town.moment()
    visit = town.visit(who, town.browser(), at - _soon(town))
    slot = town.random.choice((" {} ", '"{}"', "A|{}", "%7B{}%7D", "fb|{}|natal", "{},", "'{}'"))
    town.buys(who, at, slot=slot.format(visit.id), began=_began(town, at, visit.at))


def another_phone(town: Town) -> None:
    """The checkout got another telephone than the form, of the same person."""
    who, other, at = town.person(), town.person(), town.moment()
    visit = town.visit(
        who, town.browser(), at - _soon(town), typed=shared_by(who, other, phones=True)
    )
    town.buys(who, at)
    _thanks(town, visit, at)


# Hard ones.


def family_browser(town: Town) -> None:
    """Two people of one browser, each with clicks and a form of their own; the slot was lost."""
    one, other, at, browser = town.person(), town.person(), town.moment(), town.browser()
    first, second = (one, other) if town.chance(0.5) else (other, one)
    town.visit(first, browser, at - town.between(3 * HOUR, 5 * DAY), typed=first)
    town.visit(second, browser, at - town.between(3 * MINUTE, 2 * HOUR), typed=second)
    town.buys(one, at, began=_began(town, at, at - HOUR))


def family_cookie(town: Town) -> None:
    """The browser's cookie comes back.

    The last click on it is another member's, whose form says so.
    """
    one, other, at, browser = town.person(), town.person(), town.moment(), town.browser()
    town.visit(one, browser, at - town.between(3 * HOUR, 5 * DAY), typed=one)
    town.visit(other, browser, at - town.between(3 * MINUTE, 2 * HOUR), typed=other)
    town.buys(one, at, tracking=Tracking(fbp=browser.fbp))


def family_telephone(town: Town) -> None:
    """A mother gives her telephone for the order of a daughter, who clicked on no ad."""
    mother, daughter, at = town.person(), town.person(), town.moment()
    town.visit(mother, town.browser(), at - town.between(3 * HOUR, 5 * DAY), typed=mother)
    town.buys(daughter, at, named=shared_by(daughter, mother, phones=True))


def family_network(town: Town) -> None:
    """Two telephones of the same model at home; only address and browser are known."""
    one, other, at = town.person(), town.person(), town.moment()
    browser = town.browser()
    same = town.browser(ip=browser.ip, agent=browser.agent if town.chance(0.6) else None)
    town.visit(one, browser, at - town.between(3 * MINUTE, 28 * MINUTE))
    town.visit(
        other,
        same,
        at - town.between(3 * MINUTE, 28 * MINUTE),
        typed=other if town.chance(0.5) else None,
    )
    town.buys(one, at, client=browser)


def carrier_wave(town: Town) -> None:
    """A dozen telephones behind one address of a carrier; some of those who buy were never seen."""
    ip, start = town.address(), town.moment()
    agents = [town.agent() for _ in range(4)]
    for _ in range(12):
        who, at = town.person(), start + town.between(0, 6 * HOUR)
        browser = town.browser(ip=ip, agent=town.random.choice(agents))
        seen = town.chance(0.8)
        if seen:
            town.visit(
                who,
                browser,
                at - town.between(2 * MINUTE, 25 * MINUTE),
                typed=who if town.chance(0.2) else None,
            )
        if town.chance(0.4):
            town.buys(who, at, client=browser)


def stranger_of_the_address(town: Town) -> None:
    """One visitor of a carrier's address; the buyer, with the same model, was never seen."""
    other, who, at = town.person(), town.person(), town.moment()
    browser = town.browser()
    town.visit(
        other,
        browser,
        at - town.between(2 * MINUTE, 28 * MINUTE),
        typed=other if town.chance(0.6) else None,
    )
    if town.chance(0.3):
        town.buys(who, at, client=browser)
    else:
        town.buys(other, at, client=browser)


def forwarded_link(town: Town) -> None:
    """A link with its `fbclid` goes to a friend, who opens it, buys, and is another visitor."""
    one, friend, at = town.person(), town.person(), town.moment()
    visit = town.visit(
        one,
        town.browser(),
        at - town.between(HOUR, 3 * DAY),
        typed=one if town.chance(0.5) else None,
    )
    last = at - town.between(3 * MINUTE, 40 * MINUTE)
    mine = town.visit(
        friend,
        town.browser(),
        last,
        fbclid=visit.fbclid,
        typed=friend if town.chance(0.6) else None,
    )
    named = {"fbp": mine.browser.fbp} if town.chance(0.5) else {}
    town.buys(friend, at, tracking=Tracking(fbclid=visit.fbclid, **named))


def forwarded_checkout(town: Town) -> None:
    """The checkout's link with an `fbclid` goes to a friend who never saw the page."""
    one, friend, at = town.person(), town.person(), town.moment()
    visit = town.visit(
        one,
        town.browser(),
        at - town.between(HOUR, 3 * DAY),
        typed=one if town.chance(0.7) else None,
    )
    town.buys(friend, at, tracking=Tracking(fbclid=visit.fbclid))


def agency_address(town: Town) -> None:
    """An agency's e-mail in the forms and orders of several customers, who have telephones of their
    own.
    """
    agency, start = town.person(), town.moment()
    for _ in range(5):
        who, at = town.person(), start + town.between(0, 5 * DAY)
        named = shared_by(who, agency, emails=True)
        browser = town.browser()
        town.visit(
            who,
            browser,
            at - town.between(3 * MINUTE, 20 * HOUR),
            typed=named if town.chance(0.7) else None,
        )
        told = Tracking(fbp=browser.fbp) if town.chance(0.4) else Tracking()
        town.buys(who, at, named=named, tracking=told)


def affiliate_address(town: Town) -> None:
    """An affiliate's telephone and e-mail in many orders whose own ids came back.

    One customer's did not.
    """
    agent, start = town.person(), town.moment()
    for number in range(6):
        who, at = town.person(), start + town.between(0, 5 * DAY)
        browser = town.browser()
        visit = town.visit(
            who,
            browser,
            at - town.between(3 * MINUTE, 20 * HOUR),
            typed=who if town.chance(0.6) else None,
        )
        town.buys(
            who, at, named=shared_by(who, agent, emails=True), slot=visit.id if number % 3 else None
        )


def gift(town: Town) -> None:
    """A sale by the own id teaches another's e-mail; later its owner buys, who clicked on no ad."""
    one, other, at = town.person(), town.person(), town.moment()
    visit = town.visit(one, town.browser(), at - town.between(3 * HOUR, 2 * DAY), typed=one)
    town.buys(one, at - 2 * HOUR, named=other, slot=visit.id)
    town.buys(other, at)


def slot_cut_short(town: Town) -> None:
    """The id came back cut, in small letters, or both."""
    who, at = town.person(), town.moment()
    visit = town.visit(who, town.browser(), at - _soon(town))
    slot = town.random.choice(
        (
            visit.id[:16],
            visit.id.lower(),
            visit.id[:14].lower(),
            visit.id[:18],
            f"x|{visit.id.lower()}",
        )
    )
    town.buys(who, at, slot=slot)


def click_after_the_purchase(town: Town) -> None:
    """No ad led to it; the ad click came afterwards, and a later notice after that."""
    who, at, browser = town.person(), town.moment(), town.browser()
    later = at + town.between(20 * MINUTE, 5 * DAY)
    town.visit(who, browser, later, typed=who)
    notice: Status = "completed" if town.chance(0.5) else "refunded"
    told = Tracking(fbp=browser.fbp) if town.chance(0.4) else Tracking()
    town.buys(who, at, tracking=told, after=((notice, later + town.between(MINUTE, DAY)),))


def stranger_after_the_purchase(town: Town) -> None:
    """Somebody else has the buyer's address when the order's last notice comes."""
    who, other, at, browser = town.person(), town.person(), town.moment(), town.browser()
    back = at + town.between(DAY, 6 * DAY)
    town.visit(
        other,
        town.browser(ip=browser.ip, agent=browser.agent),
        back - town.between(MINUTE, 20 * MINUTE),
    )
    town.buys(who, at, client=browser, after=(("refunded", back),))


def last_click_of_another_device(town: Town) -> None:
    """Forms on both devices; the last click is on the first one and names nobody."""
    who, at, phone = town.person(), town.moment(), town.browser()
    last = at - town.between(3 * MINUTE, 5 * HOUR)
    town.visit(who, phone, last - town.between(2 * DAY, 4 * DAY), typed=who)
    town.visit(who, town.browser(), last - town.between(HOUR, DAY), typed=who)
    town.visit(who, phone, last)
    town.buys(who, at)


def address_that_moves(town: Town) -> None:
    """A telephone with IPv6, whose address changes within its network."""
    who, at = town.person(), town.moment()
    browser = town.browser(ip=town.address(v6=True))
    town.visit(who, browser, at - town.between(2 * MINUTE, 25 * MINUTE))
    town.buys(who, at, client=town.browser(ip=town.same_network(browser.ip), agent=browser.agent))


def two_addresses(town: Town) -> None:
    """The form got one e-mail, the checkout another one of the same person.

    The browser's cookie came back.
    """
    who, other, at, browser = town.person(), town.person(), town.moment(), town.browser()
    town.visit(
        who,
        browser,
        at - town.between(3 * MINUTE, 5 * HOUR),
        typed=shared_by(who, other, emails=True, phones=True),
    )
    town.buys(who, at, tracking=Tracking(fbp=browser.fbp))


def cookies_cleared(town: Town) -> None:
    """The form was filled in an app's own browser.

    The last click is another browser's, whose cookie came back.
    """
    who, at = town.person(), town.moment()
    last = at - town.between(3 * MINUTE, 5 * HOUR)
    town.visit(who, town.browser(), last - town.between(HOUR, 3 * DAY), typed=who)
    browser = town.browser()
    town.visit(who, browser, last)
    town.buys(who, at, tracking=Tracking(fbp=browser.fbp))


EVERYDAY: dict[Scene, int] = {
    checkout_link: 30,
    several_clicks: 12,
    form_on_the_page: 8,
    form_then_another_ad: 8,
    ad_then_form_without_ad: 3,
    cookies_of_the_browser: 8,
    ad_click_in_the_link: 4,
    address_and_browser: 4,
    two_devices: 4,
    upsell: 3,
    guarantee_ends: 3,
    refund: 3,
    late_click: 3,
    late_last_click: 3,
    no_ad: 8,
    slot_with_scratches: 2,
    another_phone: 2,
}
HARD: tuple[Scene, ...] = (
    family_browser,
    family_cookie,
    family_telephone,
    family_network,
    carrier_wave,
    stranger_of_the_address,
    forwarded_link,
    forwarded_checkout,
    agency_address,
    affiliate_address,
    gift,
    slot_cut_short,
    click_after_the_purchase,
    stranger_after_the_purchase,
    last_click_of_another_device,
    address_that_moves,
    cookies_cleared,
    two_addresses,
)


def play(town: Town, *, everyday: int, hard: int) -> None:
    """So many everyday scenes in their shares, and each hard scene so many times."""
    scenes = town.random.choices(list(EVERYDAY), weights=list(EVERYDAY.values()), k=everyday)
    for scene, is_hard in [
        *((scene, False) for scene in scenes),
        *((scene, True) for scene in HARD for _ in range(hard)),
    ]:
        since = len(town.bought)
        scene(town)
        town.settle(scene.__name__, hard=is_hard, since=since)
