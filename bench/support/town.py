"""People who click on ads and buy, as the facts that matching gets of them: a town of our own, with
known truth.

Everything is drawn from one seed. Times are Unix ms; hashes stand in for e-mails and phones.
"""

from __future__ import annotations

import hashlib
import random
import string
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec

from sinal_hub.gateways._tracking import click_id
from sinal_hub.model.events import Event, UserData, Utm, event_row_id
from sinal_hub.model.sale import Client, Customer, Product, Sale, Status, Tracking, details_of

TENANT, FUNNEL, INTEGRATION = "loja", "curso", "hotmart-principal"
SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
NOBODY, NOTHING = UserData(), Tracking()
CLICK_WINDOW, VIEW_WINDOW = 7 * DAY, DAY

# An iPhone's browser does not tell its model, an Android's does: the first is worth little, the
# second more.
_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Mobile/15E148"
)
_ANDROID = (
    "Mozilla/5.0 (Linux; Android {}; {}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 "
    "Mobile Safari/537.36"
)
_MODELS = (
    "SM-A155M",
    "SM-A057M",
    "SM-G991B",
    "moto g54",
    "moto e14",
    "23053RN02A",
    "Redmi Note 12",
    "SM-A346M",
    "2201117TY",
)
_CAMPAIGNS = ("natal", "black", "lookalike-1", "remarketing", "aberto")
_ID = string.ascii_letters + string.digits


@dataclass(frozen=True)
class Person:
    """A buyer, as forms and gateways name them."""

    name: str
    emails: list[str]
    phones: list[str]

    @property
    def user(self) -> UserData:
        """What a form of the page tells."""
        return UserData(em=self.emails, ph=self.phones)


@dataclass(frozen=True)
class Browser:
    """A browser with Meta's cookie, an address and a user agent."""

    fbp: str
    ip: str
    agent: str


@dataclass(frozen=True)
class Visit:
    """A visit of somebody: an ad click, or one without an ad, filed under its session."""

    id: str
    at: int
    who: Person
    browser: Browser
    session: str
    fbclid: str | None
    campaign: str
    fbc: str | None  # Meta's click cookie: of the browser's last ad click


@dataclass
class Bought:
    """A purchase and what is true of it: `right` are the visits it may be attributed to, `theirs`
    all of the buyer's.

    `wanted` is the last ad click before the purchase; None where no ad led to it.
    """

    order: str
    at: int
    who: Person
    right: frozenset[str] = frozenset()
    theirs: frozenset[str] = frozenset()
    wanted: str | None = None
    scene: str = ""
    hard: bool = False


@dataclass
class Town:
    """Draws people, visits and sales, and keeps the facts with the time each arrives."""

    seed: int
    now: int
    facts: list[tuple[int, Event]] = field(default_factory=list)
    bought: list[Bought] = field(default_factory=list)
    visits: dict[str, Visit] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._count = 0
        self._cookies: dict[str, str] = {}

    def chance(self, share: float) -> bool:
        """True so often."""
        return self.random.random() < share

    def between(self, low: float, high: float) -> int:
        """A time in between, in whole ms."""
        return round(self.random.uniform(low, high))

    def word(self, length: int = 22) -> str:
        """An id as the page script writes it."""
        return "".join(self.random.choices(_ID, k=length))

    def moment(self) -> int:
        """When somebody buys: long enough ago that everything after it has happened too."""
        return self.now - self.between(9 * DAY, 20 * DAY)

    def person(self) -> Person:
        """Somebody new."""
        name = f"p{self._next()}-{self.word(6)}"
        return Person(name, [digest(f"{name}@mail.example")], [digest(f"55119{name}")])

    def address(self, *, v6: bool = False) -> str:
        """An address that nobody else has."""
        a, b, c, d = (self.random.randint(1, 250) for _ in range(4))
        return (
            f"2804:{a:x}:{b:x}:{c:x}:{d:x}:{a + b:x}:{c + d:x}:{a + d:x}"
            if v6
            else f"{170 + a % 30}.{b}.{c}.{d}"
        )

    def same_network(self, ip: str) -> str:
        """Another address of the same /64: a phone changes it by itself."""
        head = ip.split(":")[:4]
        return ":".join([*head, *(f"{self.random.randint(1, 65_000):x}" for _ in range(4))])

    def agent(self) -> str:
        """A user agent, the common ones often."""
        if self.chance(0.4):
            return _IPHONE.format(self.random.choice(("17_5", "17_6", "18_1", "18_2")))
        return _ANDROID.format(
            self.random.choice((12, 13, 14)),
            self.random.choice(_MODELS),
            self.random.choice((124, 126, 128, 130)),
        )

    def browser(self, *, ip: str | None = None, agent: str | None = None) -> Browser:
        """A browser nobody has seen."""
        fbp = f"fb.1.{self.now - self.between(10 * DAY, 90 * DAY)}.{self.random.randint(10**8, 10**10)}"
        return Browser(fbp, ip or self.address(), agent or self.agent())

    def visit(
        self,
        who: Person,
        browser: Browser,
        at: int,
        *,
        ad: bool = True,
        typed: Person | None = None,
        late: int = 0,
        fbclid: str | None = None,
        pages: int = 1,
        cookies: bool = True,
    ) -> Visit:
        """A visit with its pages.

        `typed` is whom a form on it names, `late` how much later all of it arrives.
        """
        session = self.word()
        if ad:
            fbclid = fbclid or f"IwAR{self.word(40)}"
            self._cookies[browser.fbp] = f"fb.1.{at}.{fbclid}"
        visit = Visit(
            id=self.word() if ad else session,
            at=at,
            who=who,
            browser=browser,
            session=session,
            fbclid=fbclid,
            campaign=self.random.choice(_CAMPAIGNS),
            fbc=self._cookies.get(browser.fbp),
        )
        self.visits[visit.id] = visit
        self._told(visit, "click" if ad else "pageview", at, late, cookies=cookies)
        for page in range(pages):
            self._told(
                visit,
                "pageview",
                at + (page + 1) * self.between(2 * SECOND, 40 * SECOND),
                late,
                cookies=cookies,
            )
        if typed is not None:
            self._told(
                visit,
                "lead",
                at + self.between(20 * SECOND, 3 * MINUTE),
                late,
                user=typed.user,
                cookies=cookies,
            )
        return visit

    def comes_back(
        self, visit: Visit, at: int, *, typed: Person | None = None, late: int = 0
    ) -> None:
        """The same visit's id on a later page: the cookie keeps it."""
        user = typed.user if typed else UserData()
        self._told(visit, "lead" if typed else "pageview", at, late, user=user, again=True)

    def _told(
        self,
        visit: Visit,
        kind: str,
        at: int,
        late: int,
        *,
        user: UserData = NOBODY,
        cookies: bool = True,
        again: bool = False,
    ) -> None:
        key = f"{kind}-{self._next()}"
        arrives = at + late + self.between(0, 2 * SECOND)
        event = Event(
            id=event_row_id(TENANT, key),
            key=key,
            kind=kind,  # type: ignore[arg-type]
            tenant=TENANT,
            funnel=FUNNEL,
            received_at=arrives,
            occurred_at=at,
            source="browser",
            click_id=visit.id if visit.fbclid else None,
            session_id=visit.session if not again else None,
            fbclid=visit.fbclid if kind == "click" else None,
            fbc=visit.fbc if cookies else None,
            fbp=visit.browser.fbp if cookies else None,
            ip=visit.browser.ip,
            user_agent=visit.browser.agent,
            url="https://loja.example/oferta",
            utm=Utm(source="fb", campaign=visit.campaign) if visit.fbclid else Utm(),
            user=user,
        )
        self.facts.append((arrives, event))

    def buys(
        self,
        who: Person,
        at: int,
        *,
        slot: str | None = None,
        named: Person | None = None,
        tracking: Tracking = NOTHING,
        client: Browser | None = None,
        began: int | None = None,
        after: tuple[tuple[Status, int], ...] = (),
        late: int = 0,
    ) -> Bought:
        """A purchase.

        `slot` came back of the checkout link, `began` is when Pix or boleto was printed.

        `after` are later notices, `late` is how much later all of them arrive.

        What is true follows from the visits that the buyer has when the scene is over: see
        `settle`.
        """
        order = f"HP{self._next()}"
        about = named or who
        told = replace_tracking(tracking, slot)
        steps: list[tuple[Status, int]] = [
            *((("pending", began),) if began is not None else ()),
            ("approved", at),
            *after,
        ]
        for status, moment in steps:
            key = f"hotmart:{order}:{status}"
            sale = Sale(
                gateway="hotmart",
                event="X",
                event_key=key,
                status=status,
                order_id=order,
                value="297.00",
                currency="BRL",
                occurred_at=datetime.fromtimestamp(moment / 1000, UTC)
                .isoformat()
                .replace("+00:00", "Z"),
                products=[Product(id="4774438", value="297.00")],
                customer=Customer(em=about.emails, ph=about.phones),
                tracking=told,
                client=Client(ip=client.ip, user_agent=client.agent) if client else Client(),
            )
            arrives = moment + late + self.between(SECOND, 5 * SECOND)
            self.facts.append(
                (
                    arrives,
                    Event(
                        id=event_row_id(TENANT, key),
                        key=key,
                        kind="sale",
                        tenant=TENANT,
                        funnel=FUNNEL,
                        received_at=arrives,
                        occurred_at=moment,
                        source="webhook",
                        natural_key=True,
                        integration=INTEGRATION,
                        user=UserData(em=about.emails, ph=about.phones),
                        click_id=told.click_id,
                        session_id=told.session_id,
                        external_id=told.external_id,
                        fbclid=told.fbclid,
                        fbc=told.fbc,
                        fbp=told.fbp,
                        ip=sale.client.ip,
                        user_agent=sale.client.user_agent,
                        value=sale.value,
                        currency=sale.currency,
                        order_id=sale.order_id,
                        v=2,
                        sale=details_of(sale),
                    ),
                )
            )
        bought = Bought(order, at, who)
        self.bought.append(bought)
        return bought

    def settle(self, scene: str, *, hard: bool, since: int) -> None:
        """Name the truth of the purchases from number `since` on, whose scene is over."""
        for bought in self.bought[since:]:
            mine = [visit for visit in self.visits.values() if visit.who.name == bought.who.name]
            ads = [v for v in mine if v.fbclid and bought.at - CLICK_WINDOW <= v.at <= bought.at]
            last = max(ads, key=lambda visit: visit.at, default=None)
            views = [
                v.id for v in mine if not v.fbclid and bought.at - VIEW_WINDOW <= v.at <= bought.at
            ]
            bought.wanted = last.id if last else None
            bought.right = frozenset([last.id] if last else views)
            bought.theirs = frozenset(visit.id for visit in mine)
            bought.scene, bought.hard = scene, hard

    def _next(self) -> int:
        self._count += 1
        return self._count


def replace_tracking(tracking: Tracking, slot: str | None) -> Tracking:
    """What the gateway gave back, read as gateways are: only what has the form of an id is one, the
    text is kept.
    """
    if slot is None:
        return tracking
    return msgspec.structs.replace(tracking, src=slot, click_id=click_id(slot))


def digest(text: str) -> str:
    """SHA-256 as hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def shared_by(one: Person, other: Person, *, emails: bool = False, phones: bool = False) -> Person:
    """`one`, named by what belongs to `other`."""
    return replace(
        one,
        emails=other.emails if emails else one.emails,
        phones=other.phones if phones else one.phones,
    )
