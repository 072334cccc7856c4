"""The journey: what happens at a shop on a normal bad day, and how each event must end.

Everything goes through the same doors as in production; the expectations are written down before
anything is sent. Orders, click ids and e-mails carry the run's id, so that a kept data folder takes
another run.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sinal_cli.demo import deliveries
from sinal_cli.demo.deliveries import Buyer
from sinal_cli.demo.shop import DemoError, Posted, RunningStack

HOTTOK = "demo-hottok"
KIWIFY_TOKEN = "demo-kiwify-token"  # noqa: S105 - published in examples/, for the sandbox only
STRIPE_SECRET = "whsec_demo"  # noqa: S105
PERFECTPAY_TOKEN = "demo-perfectpay-token"  # noqa: S105
BRAIP_KEY = "demo-braip-key"
SHARED_IP = "177.12.34.56"  # a mobile carrier's address: many people at once
MAIN_PIXEL = "1234567890123456"


@dataclass(frozen=True)
class Expected:
    """How an event must end; None does not care."""

    outcome: str
    reason: str | None = None
    decision: str | None = None
    rule: str | None = None
    failed_attempts: int = 0  # at least so many attempts before the one that went through


@dataclass(frozen=True)
class Step:
    """One thing that happened, the events it made, and how they must end."""

    title: str
    posted: Posted
    expected: Expected


@dataclass
class Journey:
    """Plays all scenes and collects their steps."""

    world: RunningStack
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    steps: list[Step] = field(default_factory=list)
    _people: int = 0

    async def play(self) -> list[Step]:
        """Every scene in turn; raises DemoError when a door does not answer as it must."""
        scenes: list[Callable[[], Awaitable[None]]] = [
            self.pix_with_click_id,
            self.card_refused_then_approved,
            self.refund,
            self.no_consent,
            self.paid_and_approved,
            self.shared_ip,
            self.late_click,
            self.malformed,
            self.forged,
            self.meta_down,
        ]
        for scene in scenes:
            await scene()
        return self.steps

    def buyer(self, name: str, *, ddd: str) -> Buyer:
        """A person of this run, with an e-mail and a phone that nobody had in another run."""
        self._people += 1
        phone = f"{ddd}9{80_000_000 + int(self.run, 16) % 1_000_000 * 10 + self._people % 10}"
        return Buyer(name, f"{name.split(maxsplit=1)[0].lower()}.{self.run}@example.com", phone)

    def click_id(self, letter: str) -> str:
        """A click id as our script would make it."""
        return f"demo{letter}{self.run}"

    def add(self, title: str, posted: Posted, expected: Expected, *, status: int = 202) -> None:
        """Note a step; raises DemoError when the door answered otherwise."""
        if posted.status != status:
            raise DemoError(
                f"{title}: expected {status}, was answered {posted.status}: "
                f"{posted.body.get('detail')}"
            )
        self.steps.append(Step(title, posted, expected))

    async def pix_with_click_id(self) -> None:
        """An ad click, a visit, a checkout, a Pix and its payment.

        The gateway delivers the payment twice.
        """
        ana, click = self.buyer("Ana Souza", ddd="11"), self.click_id("a")
        visit = {
            "click_id": click,
            "session_id": f"s-{click}",
            "url": f"https://loja.example/curso?utm_source=fb&utm_medium=cpc&utm_campaign=lancamento&fbclid=IwAR{self.run}Ana",
            "fbp": "fb.1.1700000000000.1234567890",
            "consent_ads": True,
        }
        self.add(
            "Ana clicks an ad",
            await self.world.browser("click", "curso", **visit),
            Expected("withheld", "policy"),
        )
        self.add(
            "Ana sees the page",
            await self.world.browser("pageview", "curso", **visit),
            Expected("delivered"),
        )
        checkout = {**visit, "value": "1497.00", "currency": "BRL", "user": {"email": ana.email}}
        posted = await self.world.browser("initiate_checkout", "curso", **checkout)
        self.add("Ana opens the checkout", posted, Expected("delivered"))
        await self.settle_all()
        order = f"HP{self.run}A"
        pix = deliveries.hotmart(
            order, ana, token=HOTTOK, event="PURCHASE_BILLET_PRINTED", xcod=click
        )
        by_click = Expected("delivered", decision="match", rule="click_id")
        self.add("Hotmart: Pix issued", await self.world.webhook("hotmart", pix), by_click)
        paid = deliveries.hotmart(order, ana, token=HOTTOK, xcod=click)
        self.add("Hotmart: Pix paid", await self.world.webhook("hotmart", paid), by_click)
        again = await self.world.webhook("hotmart", paid)
        if not again.duplicate:
            raise DemoError("the repeated delivery was not recognised as a duplicate")
        self.add("Hotmart delivers the same again", again, Expected("duplicate"))

    async def card_refused_then_approved(self) -> None:
        """No click id comes back, but the buyer left an e-mail on the page."""
        bruno = self.buyer("Bruno Lima", ddd="21")
        visit: dict[str, Any] = {
            "click_id": self.click_id("b"),
            "url": f"https://loja.example/curso?utm_source=fb&fbclid=IwAR{self.run}Bruno",
            "user": {"email": bruno.email},
        }
        lead = await self.world.server("lead", "curso", ip="189.40.10.2", **visit)
        self.add("Bruno leaves his e-mail", lead, Expected("delivered"))
        await self._wait(lead)
        order = f"{self.run}-b"
        refused = deliveries.kiwify(order, bruno, token=KIWIFY_TOKEN, event="order_rejected")
        self.add(
            "Kiwify: card refused",
            await self.world.webhook("kiwify", refused),
            Expected("withheld", "policy"),
        )
        approved = deliveries.kiwify(order, bruno, token=KIWIFY_TOKEN)
        expected = Expected("delivered", decision="match", rule="email")
        self.add(
            "Kiwify: second card approved", await self.world.webhook("kiwify", approved), expected
        )

    async def refund(self) -> None:
        """A sale that is taken back: the purchase went out, the refund stays in the ledger."""
        carla, click = self.buyer("Carla Dias", ddd="31"), self.click_id("c")
        await self._clicked("Carla", click, "200.150.3.3")
        order = f"pi_{self.run}c"
        sale = deliveries.stripe_completed(order, carla, secret=STRIPE_SECRET, click_id=click)
        expected = Expected("delivered", decision="match", rule="click_id")
        posted = await self.world.webhook("stripe", sale)
        self.add("Stripe: checkout completed", posted, expected)
        await self._wait(posted)
        # Only once the sale is recorded: a refund that overtakes it would have it withheld as out
        # of order.
        back = deliveries.stripe_refunded(order, secret=STRIPE_SECRET)
        self.add(
            "Stripe: refunded",
            await self.world.webhook("stripe", back),
            Expected("withheld", "policy"),
        )

    async def no_consent(self) -> None:
        """A buyer who said no: recorded, never sent."""
        davi, click = self.buyer("Davi Alves", ddd="41"), self.click_id("d")
        await self._clicked("Davi", click, "187.60.4.4", consent_ads=False)
        sale = deliveries.perfectpay(f"PP{self.run}D", davi, token=PERFECTPAY_TOKEN, src=click)
        expected = Expected("withheld", "no_consent", decision="match", rule="click_id")
        self.add(
            "Perfect Pay: approved, no consent",
            await self.world.webhook("perfectpay", sale),
            expected,
        )

    async def paid_and_approved(self) -> None:
        """Appmax tells one sale several times under several names."""
        eva = self.buyer("Eva Rocha", ddd="51")
        click = await self.world.server(
            "click", "curso", ip="186.200.5.5", click_id=self.click_id("e"), user={"phone": eva.phone},
            url=f"https://loja.example/curso?fbclid=IwAR{self.run}Eva",
        )  # fmt: skip
        self.add("Eva clicks an ad and leaves her phone", click, Expected("withheld", "policy"))
        await self._wait(click)
        order = str(secrets.randbelow(10**9) + 10**6)
        paid = await self.world.webhook("appmax", deliveries.appmax(order, eva, event="OrderPaid"))
        self.add("Appmax: OrderPaid", paid, Expected("delivered", decision="match", rule="phone"))
        await self._wait(paid)
        approved = await self.world.webhook(
            "appmax", deliveries.appmax(order, eva, event="OrderApproved")
        )
        expected = (
            Expected("duplicate") if approved.duplicate else Expected("withheld", "duplicate")
        )
        self.add("Appmax: OrderApproved of the same order", approved, expected)

    async def shared_ip(self) -> None:
        """Five strangers behind one carrier address: the address proves nothing."""
        for number in range(5):
            await self._clicked(
                f"Stranger {number + 1}",
                self.click_id(f"g{number}"),
                SHARED_IP,
                phone_model=f"SM-A{number}5",
            )
        gil = self.buyer("Gil Prado", ddd="71")
        sale = deliveries.kiwify(f"{self.run}-g", gil, token=KIWIFY_TOKEN, ip=SHARED_IP)
        expected = Expected("delivered", decision="unmatched")
        self.add(
            "Kiwify: a buyer on a shared IP", await self.world.webhook("kiwify", sale), expected
        )

    async def late_click(self) -> None:
        """The sale is here before its click: it waits, and the click opens it again."""
        hugo, click = self.buyer("Hugo Melo", ddd="81"), self.click_id("h")
        sale = await self.world.webhook(
            "braip", deliveries.braip(f"ven{self.run}h", hugo, key=BRAIP_KEY, src=click)
        )
        self.add(
            "Braip: approved before its click",
            sale,
            Expected("delivered", decision="match", rule="click_id"),
        )
        detail = await self.world.settled(sale.ids[0], in_flight=True)
        if detail["match"]["decision"] != "unmatched":
            raise DemoError("a sale was matched before its click existed")
        await self._clicked("Hugo", click, "179.100.8.8", funnel="lancamento")

    async def malformed(self) -> None:
        """A tracking event that Meta takes no more, and a genuine delivery that nobody can read."""
        eight_days_ago = (datetime.now(UTC) - timedelta(days=8)).isoformat()
        posted = await self.world.browser(
            "initiate_checkout", "curso", occurred_at=eight_days_ago, url="https://loja.example/"
        )
        if "occurred_at" not in str(posted.body.get("errors")):
            raise DemoError(
                f"the answer to an event that is too old does not name its field: {posted.body}"
            )
        self.add(
            "A checkout event of eight days ago", posted, Expected("refused", "400"), status=400
        )
        odd = deliveries.DemoRequest(
            "hotmart", b'{"event": 7, "data": []}', {"X-HOTMART-HOTTOK": HOTTOK}
        )
        self.add(
            "Hotmart: a genuine delivery in an unknown form",
            await self.world.webhook("hotmart", odd),
            Expected("quarantined"),
        )

    async def forged(self) -> None:
        """A delivery signed with a guess."""
        mallory = self.buyer("Mallory Silva", ddd="11")
        forged = deliveries.kiwify(f"{self.run}-x", mallory, token="a guess")  # noqa: S106
        self.add(
            "Kiwify: a forged delivery",
            await self.world.webhook("kiwify", forged),
            Expected("refused", "401"),
            status=401,
        )

    async def meta_down(self) -> None:
        """Meta answers 500 for a moment; the sale waits and goes out under the same id."""
        await self.settle_all()
        # Behind everything else: faults count requests, and others' would use them up.
        await self.world.fault(kind="status_500", pixel=MAIN_PIXEL, times=2)
        iris, click = self.buyer("Iris Nunes", ddd="61"), self.click_id("i")
        await self._clicked("Iris", click, "191.30.9.9")
        sale = deliveries.hotmart(f"HP{self.run}I", iris, token=HOTTOK, xcod=click)
        expected = Expected("delivered", decision="match", rule="click_id", failed_attempts=2)
        self.add(
            "Hotmart: approved while Meta answers 500",
            await self.world.webhook("hotmart", sale),
            expected,
        )

    async def settle_all(self) -> None:
        """Wait until nothing of the journey so far is in flight."""
        for step in self.steps:
            await self._wait(step.posted)

    async def _wait(self, posted: Posted) -> None:
        for event_id in posted.ids:
            await self.world.settled(event_id)

    async def _clicked(
        self,
        who: str,
        click: str,
        ip: str,
        *,
        funnel: str = "curso",
        phone_model: str = "SM-A556E",
        **fields: object,
    ) -> None:
        agent = (
            f"Mozilla/5.0 (Linux; Android 15; {phone_model}) AppleWebKit/537.36 Chrome/142.0 "
            "Mobile Safari/537.36"
        )
        url = f"https://loja.example/curso?utm_source=fb&fbclid=IwAR{self.run}{click}"
        posted = await self.world.server(
            "click", funnel, ip=ip, user_agent=agent, click_id=click, url=url, **fields
        )
        self.add(f"{who} clicks an ad", posted, Expected("withheld", "policy"))
        # nobody buys in the same instant, and several match workers may overtake each other
        await self._wait(posted)
