"""Words of `kubectl sinal`.

All but `status` are those of `sinal`, which reach the API through the cluster here.

kubectl finds the program `kubectl-sinal` on the PATH and hands it every word as it stands.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from sinal_cli.client import commands
from sinal_cli.client.keys import keys
from sinal_cli.client.quarantine import quarantine
from sinal_cli.client.target import REACH, NoTarget, Target, TargetOptions, find
from sinal_cli.kubectl.cluster import KEY, Kubectl, NamespacedName, Scope
from sinal_cli.mistakes import guarded

SCOPE: ContextVar[Scope] = ContextVar("SCOPE", default=Scope())  # noqa: B039 - it is immutable
app = App(
    name="kubectl sinal", help="Sinal in this cluster: what is declared, and what became of events."
)
commands.register(app)
app.command(quarantine)
app.command(keys)


@dataclass(frozen=True)
class ServiceRef:
    """How the API is reached where no URL is given."""

    kubectl: Kubectl
    service: str | None
    key_secret: str | None
    key_name: str

    @contextlib.contextmanager
    def reach(self, said: TargetOptions) -> Iterator[Target]:
        """URL and key for one command; raises NoTarget."""
        from sinal_cli.kubectl.forward import forwarded

        if said.data is not None:
            yield find(said)
            return
        url = said.api or os.environ.get("SINAL_API_URL")
        if url:
            yield Target(url.rstrip("/"), self._key(said, None))
            return
        place = (
            NamespacedName.of(self.service, option="--service")
            if self.service
            else self.kubectl.api_service()
        )
        key = self._key(said, place)
        way = (
            "port-forward",
            f"service/{place.name}",
            # kubectl takes a free port and says which: no other program can take it in between.
            ":http",
            f"--namespace={place.namespace}",
            "--address=127.0.0.1",
        )
        with forwarded(self.kubectl.command(*way)) as port:
            yield Target(f"http://127.0.0.1:{port}", key, on_cluster=True)

    def _key(self, said: TargetOptions, service: NamespacedName | None) -> str:
        """Said, in the environment, or in a Secret: the chart's stands beside the Service."""
        given = said.key or os.environ.get("SINAL_API_KEY")
        if given:
            return given
        if self.key_secret:
            return self.kubectl.secret(
                NamespacedName.of(self.key_secret, option="--key-secret"), self.key_name
            )
        if service is None:
            raise NoTarget(
                "no key: give --key or --key-secret NAMESPACE/NAME, or set SINAL_API_KEY"
            )
        beside = NamespacedName(service.namespace, f"{service.name.removesuffix('-api')}-admin")
        return self.kubectl.secret(beside, self.key_name)


@app.meta.default
def launch(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    kubeconfig: Path | None = None,
    context: str | None = None,
    namespace: Annotated[str | None, Parameter(name=["--namespace", "-n"])] = None,
    all_namespaces: Annotated[
        bool, Parameter(name=["--all-namespaces", "-A"], negative=())
    ] = False,
    service: str | None = None,
    key_secret: str | None = None,
    key_name: str = KEY,
) -> int:
    """Sinal in this cluster: what is declared, and what became of events.

    Parameters
    ----------
    kubeconfig
        As kubectl's; default: KUBECONFIG.
    context
        As kubectl's.
    namespace
        As kubectl's: whose objects `status` shows.
    all_namespaces
        `status` of every namespace.
    service
        NAMESPACE/NAME of the operations API's Service; default: the one with the chart's labels.
    key_secret
        NAMESPACE/NAME of a Secret with a key of the API; default: the chart's, beside the Service.
    key_name
        The key's name in that Secret.
    """
    scope = Scope(kubeconfig, context, namespace, all_namespaces)
    SCOPE.set(scope)
    REACH.set(ServiceRef(Kubectl(scope), service, key_secret, key_name).reach)
    result = app(words, result_action="return_value")
    return result if isinstance(result, int) else 0


@app.command
def status(*, json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Tenants and their members: ready, why not, backlog, match rate, last event, breaker.

    Exit 1: not all are ready.

    Parameters
    ----------
    json
        JSON lines, as where standard output is not a terminal.
    """
    from sinal_cli.client.show import Output
    from sinal_cli.kubectl.status import status as show
    from sinal_cli.offline import complain

    scope = SCOPE.get()
    try:
        return show(Kubectl(scope), Output(as_json=json), everywhere=scope.everywhere)
    except NoTarget as error:
        complain(str(error))
        return 2


def main() -> None:
    """Entry point."""
    sys.exit(guarded(lambda: app.meta(result_action="return_value")))


if __name__ == "__main__":
    main()
