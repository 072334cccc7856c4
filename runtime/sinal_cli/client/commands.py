"""Words of the command line for the operations API; what they do is imported when they run.

Exit codes: 0 done, 1 refused or something is wrong, 2 wrong usage or nobody to talk to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from sinal_cli.client.options import NO_API, NO_FILTER, ApiOptions, FilterOptions, Kind, Outcome

if TYPE_CHECKING:
    from sinal_cli.client.session import Session
    from sinal_cli.client.show import Output


def run(api: ApiOptions, work: Callable[[Session, Output], int]) -> int:
    """Do the work with a session; its errors become one line and an exit code."""
    from sinal_cli.client.options import BadEmail
    from sinal_cli.client.session import ApiRefused, ApiUnreachable, Session
    from sinal_cli.client.show import Output
    from sinal_cli.client.target import REACH, NoTarget, TargetOptions
    from sinal_cli.offline import complain

    try:
        said = TargetOptions(api=api.api, key=api.key, data=api.data)
        with REACH.get()(said) as target, Session(target) as session:
            return work(session, Output(as_json=api.json))
    except ApiRefused as error:
        complain(str(error))
        return 1
    except (BadEmail, NoTarget, ApiUnreachable) as error:
        complain(str(error))
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        return 130


events = App(name="events", help="What became of events.")
letters = App(name="dead-letters", help="What was given up, by cause.")
review = App(name="review", help="Sales whose match waits for a person.")


@events.command(name="list")
def list_events(
    *, where: FilterOptions = NO_FILTER, limit: int = 50, api: ApiOptions = NO_API
) -> int:
    """Events, newest first.

    Parameters
    ----------
    limit
        At most so many.
    """
    from sinal_cli.client import events as commands

    return run(
        api, lambda session, out: commands.listing(session, out, limit=limit, filters=where.query())
    )


@events.command
def show(event: str, /, *, api: ApiOptions = NO_API) -> int:
    """One event: received, matched with its evidence, every delivery and Meta's answers."""
    from sinal_cli.client import events as commands

    return run(api, lambda session, out: commands.show(session, out, event_id=event))


@events.command
def tail(
    *,
    tenant: str | None = None,
    funnel: str | None = None,
    kind: Kind | None = None,
    outcome: Outcome | None = None,
    last: Annotated[int | None, Parameter(name=["--last", "-n"])] = None,
    limit: int | None = None,
    api: ApiOptions = NO_API,
) -> int:
    """Events as they come, and again when their outcome changes, until Ctrl-C.

    Parameters
    ----------
    last
        Begin with so many that came before; default: 10 on a terminal, none for programs.
    limit
        End after so many.
    """
    from sinal_cli.client import events as commands

    asked = {"tenant": tenant, "funnel": funnel, "kind": kind, "outcome": outcome}
    wanted = {name: value for name, value in asked.items() if value is not None}
    return run(
        api,
        lambda session, out: commands.tail(session, out, filters=wanted, most=limit, before=last),
    )


def explain(
    order: str,
    /,
    *,
    tenant: str | None = None,
    gateway: str | None = None,
    api: ApiOptions = NO_API,
) -> int:
    """What became of an order and why, in a person's words: match, attempts, outcome.

    Exit 1: nothing is known of it.

    Parameters
    ----------
    order
        The gateway's number of the sale.
    tenant
        Only this tenant's.
    gateway
        Only this gateway's: orders of several may have one number.
    """
    from sinal_cli.client import explain as telling

    return run(
        api,
        lambda session, out: telling.explain(
            session, out, order=order, tenant=tenant, gateway=gateway, as_json=api.json
        ),
    )


def replay(
    event: str | None = None,
    /,
    *,
    where: FilterOptions = NO_FILTER,
    destination: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    confirm_duplicate: bool = False,
    api: ApiOptions = NO_API,
) -> int:
    """Send an event again, an order's events whatever became of them, or all that fit a filter
    (else: dead ones).

    Parameters
    ----------
    event
        Id of one event.
    destination
        Only deliveries to this destination.
    dry_run
        Only say what would be sent.
    force
        Also what was delivered.
    confirm_duplicate
        Also what was delivered more than 48 hours ago and will probably count twice at Meta.
    """
    from sinal_cli.client import replays
    from sinal_cli.offline import complain

    choice = {"dry_run": dry_run, "force": force, "confirm_duplicate": confirm_duplicate}
    body: dict[str, Any] = choice | ({"destination": destination} if destination else {})
    filters = {name: value for name, value in asdict(where).items() if value is not None}
    if (event is None) == (not filters):
        complain(
            "give the id of one event, or a filter such as --order HP1 or --tenant loja "
            "--reason rejected"
        )
        return 2
    if event is not None:
        return run(api, lambda session, out: replays.one(session, out, event_id=event, body=body))
    if where.order_id is not None and where.outcome is None and where.reason is None:
        return run(
            api, lambda session, out: replays.order(session, out, filters=where.query(), body=body)
        )
    return run(api, lambda session, out: replays.many(session, out, body=body | where.query()))


@letters.command(name="list")
def list_letters(*, tenant: str | None = None, api: ApiOptions = NO_API) -> int:
    """Dead letters by cause, the largest groups first."""
    from sinal_cli.client import replays

    return run(api, lambda session, out: replays.letters(session, out, tenant=tenant))


@letters.command(name="replay")
def replay_letters(
    *,
    tenant: str | None = None,
    stage: Literal["match", "dispatch"] | None = None,
    reason: str | None = None,
    code: int | None = None,
    subcode: int | None = None,
    destination: str | None = None,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    dry_run: bool = False,
    api: ApiOptions = NO_API,
) -> int:
    """Send dead letters again: the groups that fit.

    Parameters
    ----------
    every
        All groups.
    dry_run
        Only say what would be sent.
    """
    from sinal_cli.client import replays
    from sinal_cli.offline import complain

    wanted = {
        "tenant": tenant, "stage": stage, "reason": reason, "code": code, "subcode": subcode, "destination": destination
    }  # fmt: skip
    if not every and not any(value is not None for value in wanted.values()):
        complain(
            "say which: --reason, --code, --destination … as `sinal dead-letters list` shows "
            "them, or --all"
        )
        return 2
    return run(
        api,
        lambda session, out: replays.replay_letters(
            session, out, wanted=wanted, body={"dry_run": dry_run}
        ),
    )


@review.command(name="list")
def list_review(*, tenant: str | None = None, limit: int = 100, api: ApiOptions = NO_API) -> int:
    """Sales that wait for a person, newest first."""
    from sinal_cli.client import reviews

    return run(api, lambda session, out: reviews.listing(session, out, tenant=tenant, limit=limit))


@review.command
def accept(event: str, /, *, api: ApiOptions = NO_API) -> int:
    """It is this click's sale: send it with the click's data."""
    from sinal_cli.client import reviews

    return run(api, lambda session, out: reviews.say(session, out, event_id=event, word="accept"))


@review.command
def reject(event: str, /, *, drop: bool = False, api: ApiOptions = NO_API) -> int:
    """It is not this click's sale: send it without the click's data.

    Parameters
    ----------
    drop
        Do not send it at all.
    """
    from sinal_cli.client import reviews

    return run(
        api,
        lambda session, out: reviews.say(session, out, event_id=event, word="reject", drop=drop),
    )


def doctor(*, tenant: str | None = None, tokens: bool = True, api: ApiOptions = NO_API) -> int:
    """Look at services, plans, lanes, destinations, refusals, clocks, tokens; say what to do.

    Exit 1: something is wrong, or something is not delivered that should be.

    Parameters
    ----------
    tenant
        Only this tenant; without it the first 50.
    tokens
        Ask Meta about every access token.
    """
    from sinal_cli.client import doctor as commands

    return run(
        api, lambda session, out: commands.examine(session, out, tenant=tenant, tokens=tokens)
    )


def summary(*, tenant: str | None = None, hours: int = 24, api: ApiOptions = NO_API) -> int:
    """A tenant's last hours: how its events ended, match rate, what waits, how destinations and
    integrations do.

    Parameters
    ----------
    tenant
        Which tenant; may be left out where there is only one.
    hours
        Length of the window that ends now; at most 168.
    """
    from sinal_cli.client import figures

    return run(api, lambda session, out: figures.summary(session, out, tenant=tenant, hours=hours))


def coverage(*, tenant: str | None = None, hours: int = 24, api: ApiOptions = NO_API) -> int:
    """Share of a tenant's conversions that carry each signal, by Meta's event: more signals, better
    matching there.

    Parameters
    ----------
    tenant
        Which tenant; may be left out where there is only one.
    hours
        Length of the window that ends now; at most 168.
    """
    from sinal_cli.client import figures

    return run(api, lambda session, out: figures.coverage(session, out, tenant=tenant, hours=hours))


def pairing(*, tenant: str | None = None, hours: int = 24, api: ApiOptions = NO_API) -> int:
    """Share of the pages' events whose id the browser's pixel knows too: Meta counts the others
    twice.

    Parameters
    ----------
    tenant
        Which tenant; may be left out where there is only one.
    hours
        Length of the window that ends now; at most 168.
    """
    from sinal_cli.client import figures

    return run(api, lambda session, out: figures.pairing(session, out, tenant=tenant, hours=hours))


def register(app: App) -> None:
    """Add these commands to `sinal`."""
    for part in (events, letters, review):
        app.command(part)
    for command in (explain, replay, summary, coverage, pairing, doctor):
        app.command(command)
