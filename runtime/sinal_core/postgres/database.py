"""Connections to PostgreSQL: one pool a process, transactions that may be bound to one tenant.

A transaction with a tenant runs under the role `sinal_api` and row-level security: what it can see
is decided by PostgreSQL, not by a WHERE clause that somebody forgot. Either it has connections of a
login that is nothing else, or the login of all may take that role (and leave it again, should
somebody get to say so). `binds_tenants` says whether one of them holds.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from psycopg import AsyncConnection, OperationalError
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from sinal_core.postgres.errors import StoreRejected, StoreUnavailable, translated
from sinal_core.telemetry.tracing import Tracer, part

Connection = AsyncConnection[DictRow]

LOOK_S = 2  # of one attempt, whose words tell why there is no pool
REST_S = 1.0  # a connection that was used within that time is not asked whether it still stands

_SESSION = {
    "timezone": "UTC",
    "jit": "off",  # compiling costs more than our statements
    # planning over many partitions costs more than running
    "plan_cache_mode": "force_generic_plan",
    "statement_timeout": "30s",
    # a worker that stops in the middle of a transaction must not keep its tenant's locks
    "idle_in_transaction_session_timeout": "60s",
}

# A login that is neither superuser nor member of sinal_api is bound by its own policies already,
# unless it is the worker or the owner: their policies let everything through.
_WHO = b"""
select
    coalesce((select pg_has_role(current_user, oid, 'set') and current_user <> rolname from pg_roles
        where rolname = 'sinal_api'), false) as may_become_api,
    (select rolsuper or rolbypassrls from pg_roles where rolname = current_user) or not coalesce((
        select relrowsecurity and relforcerowsecurity from pg_class where oid = to_regclass('events')), false)
    or exists (select from pg_policy, unnest(polroles) as role
        where polrelid = to_regclass('events') and polname in ('worker', 'owner')
            and case role when 0 then true else pg_has_role(current_user, role, 'usage') end) as sees_all
"""


async def _refused(url: str, options: str) -> str:
    """What connecting ends with, in libpq's words; a pool knows only that nothing came in time.

    Empty: it works now.
    """
    try:
        connection = await AsyncConnection.connect(url, connect_timeout=LOOK_S, options=options)
    except OperationalError as error:
        return " ".join(str(error).split())
    await connection.close()
    return ""


class _Kept(AsyncConnection[DictRow]):
    """A connection of the pool that knows when it was last given back."""

    used_at = 0.0  # monotonic seconds


class Database:
    """One pool; close it at the end of the process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Connection],
        *,
        may_become_api: bool,
        sees_all: bool,
        tenants: Database | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._pool = pool
        self._may_become_api, self._sees_all = may_become_api, sees_all
        self._tenants = tenants
        self._tracer = tracer

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        min_size: int = 1,
        max_size: int = 10,
        timeout_s: float = 10.0,
        open_s: float | None = None,
        name: str = "sinal",
        session: Mapping[str, str] | None = None,
        tenants: Database | None = None,
        tracer: Tracer | None = None,
    ) -> Self:
        """Connect; raises StoreUnavailable when no connection stands within `open_s` (default:
        `timeout_s`).

        `timeout_s` is how long a caller waits for one of the pool's connections. `session` holds
        parameters of PostgreSQL for all connections, over the usual ones. Transactions of a tenant
        are those of `tenants`, where it is given.
        """
        # given with the connect: a SET for each would cost every new connection a round trip
        options = " ".join(
            f"-c {name}={value}" for name, value in {**_SESSION, **(session or {})}.items()
        )
        pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            url,
            connection_class=_Kept,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout_s,
            open=False,
            name=name,
            check=_check,
            # called when a connection comes back, the one place that sees each of them
            reset=_used,
            kwargs={
                "autocommit": True,  # a statement that stands alone takes one round trip
                "row_factory": dict_row,
                "application_name": name,
                "options": options,
            },
        )
        try:
            with translated():
                await pool.open(wait=True, timeout=timeout_s if open_s is None else open_s)
                async with pool.connection() as connection:
                    row = await (await connection.execute(_WHO)).fetchone() or {}
        except StoreUnavailable as error:
            await pool.close()
            raise StoreUnavailable(await _refused(url, options) or str(error)) from error
        except BaseException:
            await pool.close()
            raise
        return cls(
            pool,
            may_become_api=bool(row.get("may_become_api")),
            sees_all=bool(row.get("sees_all", True)),
            tenants=tenants,
            tracer=tracer,
        )

    @property
    def binds_tenants(self) -> bool:
        """Whether PostgreSQL keeps a transaction with a tenant to that tenant's rows."""
        if self._tenants is not None:
            return self._tenants.binds_tenants
        return self._may_become_api or not self._sees_all

    async def close(self) -> None:
        """Close every connection, those of `tenants` too."""
        await self._pool.close()
        if self._tenants is not None:
            await self._tenants.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(self, *, tenant: str | None = None) -> AsyncIterator[Connection]:
        """One transaction, of one tenant's rows or of all.

        Raises StoreUnavailable, StoreRejected.
        """
        if tenant is not None and self._tenants is not None:
            async with self._tenants.transaction(tenant=tenant) as connection:
                yield connection
            return
        with translated(), part(self._tracer, "postgres.transaction", kind="client"):
            async with self._pool.connection() as connection, connection.transaction():
                if tenant is not None:
                    if self._may_become_api:
                        # LOCAL: it ends with the transaction, and the pool's next user is not bound
                        # by it
                        await connection.execute("set local role sinal_api")
                    # a function, because SET takes no parameters; `true` is what LOCAL is
                    await connection.execute(
                        "select set_config('sinal.tenant', %s, true)", (tenant,)
                    )
                yield connection

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Connection]:
        """A connection for statements that stand alone; raises StoreUnavailable, StoreRejected."""
        with translated(), part(self._tracer, "postgres.statement", kind="client"):
            async with self._pool.connection() as connection:
                yield connection

    async def ping(self) -> bool:
        """Whether PostgreSQL answers now, on each login."""
        if self._tenants is not None and not await self._tenants.ping():
            return False
        try:
            async with self.autocommit() as connection:
                await connection.execute("select 1")
        except (StoreUnavailable, StoreRejected):
            return False
        return True


async def _used(connection: Connection) -> None:
    if isinstance(connection, _Kept):
        connection.used_at = time.monotonic()


async def _check(connection: Connection) -> None:
    """Ask a connection that has rested whether it still stands.

    A busy one would have failed its last user.
    """
    if not isinstance(connection, _Kept) or time.monotonic() - connection.used_at > REST_S:
        await AsyncConnectionPool.check_connection(connection)
