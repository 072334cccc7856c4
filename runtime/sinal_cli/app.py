"""The words of `sinal`.

Each command imports what it needs when it runs, so that small ones start fast.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sinal_cli.backup import backup, restore
from sinal_cli.client import commands
from sinal_cli.client.handover import tenants
from sinal_cli.client.keys import keys
from sinal_cli.client.options import CLICK, ORDER
from sinal_cli.client.privacy import privacy
from sinal_cli.client.quarantine import quarantine
from sinal_cli.client.suspending import resume, suspend
from sinal_cli.install import install, keyring

app = App(
    name="sinal",
    help="Server-side tracking for paid-traffic funnels.",
    version=lambda: metadata.version("sinal"),
    version_flags=["--version"],
)
manifests = App(
    name="manifests", help="Manifests of tenants, destinations, funnels and gateway integrations."
)
gateways = App(
    name="gateways", help="Payment gateways: sample deliveries, and reading those you have."
)
identity = App(name="identity", help="Normalisation and hashing of customer data as Meta wants it.")
app.command(manifests)
app.command(gateways)
app.command(identity)
commands.register(app)
app.command(privacy)
app.command(quarantine)
app.command(backup)
app.command(restore)
app.command(keys)
app.command(tenants)
app.command(suspend)
app.command(resume)
app.command(install)
app.command(keyring)
app.register_install_completion_command(
    help="Install completion of words and options for your shell (bash, zsh, fish)."
)


@app.command
def up(
    *,
    file: Annotated[tuple[Path, ...], Parameter(name=["--file", "-f"], negative=())] = (),
    data: Path = Path(".sinal"),
    port: int | None = None,
    ready_file: Path | None = None,
    graph_url: str | None = None,
    public_url: str | None = None,
    grace: float = 60.0,
) -> int:
    """Start embedded services, the Meta sandbox and all roles.

    Print URLs and a first curl; Ctrl-C stops everything.

    Parameters
    ----------
    file
        Manifests: a file or a folder; may be given several times. They are read again when they
        change.
    data
        Folder of this stack's data; a second start finds it again.
    port
        Port of ingest; API, sandbox and metrics take the next three. Default: those the folder had
        before; for a new one 8080, or the next four that are free.
    ready_file
        Write a JSON with URLs, keys and webhook URLs here once everything answers.
    graph_url
        Send to this Graph API, such as https://graph.facebook.com, and start no sandbox.
    public_url
        Where the world reaches ingest, through a tunnel for instance: webhook URLs are made of it.
    grace
        Seconds that a tenant goes on after its manifest was taken away.
    """
    from sinal_cli.up import run_up

    return run_up(
        files=file,
        data=data,
        port=port,
        ready_file=ready_file,
        graph_url=graph_url,
        public_url=public_url,
        grace_s=grace,
    )


@app.command
def demo(
    *,
    json: bool = False,
    keep: bool = False,
    data: Path | None = None,
    port: int | None = None,
    against: Path | None = None,
) -> int:
    """Play a journey through a whole stack and say what became of each event.

    Exit 0 only if all ended as they should.

    Parameters
    ----------
    json
        Print one JSON object instead of a table.
    keep
        Leave the stack running after the journey, until Ctrl-C, and keep its data.
    data
        Folder of the stack's data, used as it is and kept; default: a fresh one that is removed at
        the end.
    port
        Port of ingest; default: any free one.
    against
        Start nothing: play against the stack, with the shop of `examples/`, that this ready file
        describes.
    """
    from sinal_cli.demo.command import play_against, run_demo

    if against is not None:
        return play_against(against, as_json=json)
    return run_demo(as_json=json, keep=keep, data=data, port=port)


@app.command
def run(
    role: str,
    *,
    file: Annotated[tuple[Path, ...], Parameter(name=["--file", "-f"], negative=())] = (),
) -> int:
    """Run one role of the platform as this process, with settings from SINAL_… variables.

    Parameters
    ----------
    role
        ingest, match, dispatch, api, housekeeping, operator or metrics-adapter.
    file
        Manifests that the operator role provisions from files; without any it watches a Kubernetes
        cluster.
    """
    from sinal_cli.roles.process import run_role

    return run_role(role, files=file)


@app.command
def status(
    *, data: Path = Path(".sinal"), json: Annotated[bool, Parameter(negative=())] = False
) -> int:
    """What is declared in the running `sinal up` and whether it is ready, with the webhooks' URLs.

    Exit 1: not all is.

    Parameters
    ----------
    data
        Data folder of the stack.
    json
        JSON lines, as where output is not a terminal.
    """
    from sinal_cli.client.show import Output
    from sinal_cli.client.target import NoTarget
    from sinal_cli.local import standing
    from sinal_cli.offline import complain

    try:
        return standing.status(data, Output(as_json=json))
    except NoTarget as error:
        complain(str(error))
        return 2


@app.command
def migrate(*, wait: float = 0, logins: bool = False) -> int:
    """Bring the database to this release's schema, as its owner (SINAL_MAINTENANCE_DATABASE_URL,
    else the worker's).

    Safe to run twice, at the same time, and beside processes of the release before.

    Parameters
    ----------
    wait
        Seconds to wait for a PostgreSQL that does not answer yet.
    logins
        Let the users of SINAL_DATABASE_URL and SINAL_API_DATABASE_URL log in with the passwords
        that stand there.
    """
    from sinal_cli.migrate import migrate_database

    return migrate_database(wait_s=wait, logins=logins)


@manifests.command
def check(
    *paths: Annotated[Path, Parameter(allow_leading_hyphen=True)],
    strict: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Validate manifests offline: exit 1 and a pointed message for each error, or where there is no
    manifest.

    Parameters
    ----------
    paths
        Files or folders with YAML documents; `-` is standard input.
    strict
        Notes are errors too, such as a Secret that is not among the manifests.
    """
    from sinal_cli.offline import check_manifests

    return check_manifests(paths, strict=strict)


@gateways.command
def parse(
    file: Path | None = None, /, *, gateway: str, country: str = "BR", show_clear: bool = False
) -> int:
    """Parse one webhook payload and print a JSON array of normalised sales.

    Exit 2 for a body that is none.

    Parameters
    ----------
    file
        The payload as it was delivered; default: standard input.
    gateway
        hotmart, kiwify, stripe, perfectpay, appmax, braip, …
    country
        Country of phone numbers that carry none.
    show_clear
        Print `customer.clear` too, for debugging; only to a terminal.
    """
    from sinal_cli.offline import parse_payload

    return parse_payload(file, gateway=gateway, country=country, show_clear=show_clear)


@gateways.command
def send(
    gateway: str | None = None,
    event: str | None = None,
    /,
    *,
    order: Annotated[str | None, Parameter(name=ORDER)] = None,
    click: Annotated[str | None, Parameter(name=CLICK)] = None,
    email: str | None = None,
    phone: str | None = None,
    tenant: str | None = None,
    integration: str | None = None,
    url: str | None = None,
    secret: str | None = None,
    file: Annotated[tuple[Path, ...], Parameter(name=["--file", "-f"], negative=())] = (),
    data: Path | None = None,
    wait: Annotated[bool, Parameter(negative=())] = False,
    samples: Annotated[bool, Parameter(name="--list", negative=())] = False,
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Play a signed sample through the real door of an integration.

    Exit 1: the door refused it, 2: nothing was sent.

    Parameters
    ----------
    gateway
        hotmart, kiwify, stripe, …: `--list` shows all.
    event
        The gateway's own word or what it becomes (approved, refunded, …); default: an approved
        sale.
    order
        The sale's number; default: a fresh one. The same order and event again is a repeated
        delivery.
    click
        A click id, where this gateway brings it back: the sale is matched with that click.
    email
        The buyer's; default: a fresh one.
    phone
        The buyer's, with area code; default: a fresh one.
    tenant
        Whose integration, where several have this gateway.
    integration
        Which integration, by name.
    url
        Post here, whatever runs on this machine: the webhook's URL of an integration.
    secret
        What the delivery is signed with; default: from the Secret in the manifests of the running
        stack.
    file
        Manifests with that Secret, where the stack does not tell its own.
    data
        Data folder of a running `sinal up`; default: .sinal.
    wait
        Until the event has an outcome, a minute at most.
    samples
        Only list gateways and events.
    json
        JSON, as where standard output is not a terminal.
    """
    from sinal_cli.client.show import Output
    from sinal_cli.offline import complain
    from sinal_cli.samples import send as samples_of

    if samples:
        return samples_of.list_samples(Output(as_json=json), gateway)
    if gateway is None:
        complain("say which gateway: `sinal gateways send --list` shows them and their events")
        return 2
    wanted = samples_of.SendOptions(
        gateway=gateway, event=event, order=order, click=click, email=email, phone=phone, tenant=tenant,
        integration=integration, url=url, secret=secret, files=file, data=data, wait=wait,
    )  # fmt: skip
    return samples_of.send(wanted, Output(as_json=json))


@identity.command(name="hash")
def hash_lines(*, country: str = "BR") -> int:
    """Hash JSON lines `{"field": "ph", "value": "…"}`: adds `normalized` and `sha256`, null where
    Meta would refuse.

    Parameters
    ----------
    country
        ISO code of the country of phone numbers and postal codes that carry none.
    """
    from sinal_cli.offline import hash_identities

    return hash_identities(country=country)
