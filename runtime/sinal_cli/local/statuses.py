"""The statuses that the operator writes in a cluster, of the objects in files: `<data>/status.json`
of a running stack.

The file is a list as `kubectl get -o json` gives it, so that who shows one can show the other:

    {"version": 1, "pid": 123,
     "items": [{"apiVersion", "kind", "metadata": {"namespace", "name", "uid", "generation"},
     "spec", "status"}], "refused": ["file:line: Kind ns/name: field: message"],   mistakes in
     files: what was declared before goes on "leaving": [{"tenant": "loja", "endsAt":
     "2026-11-30T12:00:00Z"}]}

`status` has `conditions` (Ready, Provisioned, …, each with `status`, `reason`, `message`),
`webhookURL` of a GatewayIntegration, `publicKey` of a Funnel, `alsoTaken` of both after a rotation
of the mint key, and the figures that docs/operators/operator.md lists. The file is its owner's
alone, written whole when something differs, and gone when the stack stops; after a crash its `pid`
is nobody's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from sinal_cli.data_folder import write_private
from sinal_cli.declared import Declared
from sinal_cli.departures import DepartingTenant
from sinal_cli.local.changes import spec
from sinal_crds.compile import uid_of
from sinal_crds.loading import ObjectKey
from sinal_crds.models import Manifest
from sinal_crds.names import API_VERSION
from sinal_crds.plan import TenantPlan
from sinal_operator.cluster.object_cache import Seen
from sinal_operator.cluster.status import StatusInputs, judge, patch
from sinal_operator.cluster.tenant_status import Told
from sinal_operator.provision import TenantReport

FILE = "status.json"


class Statuses:
    """What is said of each object, and since when."""

    def __init__(self, folder: Path, *, ingest_url: str) -> None:
        self._file, self._ingest_url = folder / FILE, ingest_url
        self._seen: dict[ObjectKey, Seen] = {}
        self._written = b""
        self.refused: tuple[str, ...] = ()

    def show(
        self,
        declared: Declared,
        *,
        reports: Mapping[str, TenantReport],
        active: Mapping[str, TenantPlan],
        told: Told | None,
        leaving: Sequence[DepartingTenant] = (),
    ) -> None:
        """Judge everything, and write what differs."""
        world = StatusInputs(
            plans={plan.slug: plan for plan in declared.compilation.plans},
            minted=declared.compilation.minted,
            minted_at=declared.compilation.minted_at,
            problems=declared.problems,
            reports=reports,
            active=active,
            ingest_url=self._ingest_url,
            slugs=declared.slugs,
            told=told,
        )
        now = datetime.now(UTC)
        seen = [self._look(manifest) for manifest in declared.objects]
        self._seen = {one.key: _judged(one, world, now) for one in seen}
        self._write(leaving)

    def remove(self) -> None:
        """Nobody speaks any more."""
        self._file.unlink(missing_ok=True)

    def _look(self, manifest: Manifest) -> Seen:
        """The object with what was said of it before.

        A generation more where it is declared otherwise.
        """
        key = (manifest.kind, manifest.namespace, manifest.name)
        before = self._seen.get(key)
        declared = spec(manifest)
        same = before is not None and before.spec == declared
        generation = 1 if before is None else before.generation + (0 if same else 1)
        return Seen(
            key=key,
            uid=uid_of(manifest),
            version=generation,
            generation=generation,
            deleting=False,
            kept=True,
            annotations={},
            status=before.status if before is not None else {},
            spec=declared,
            manifest=manifest,
        )

    def _write(self, leaving: Sequence[DepartingTenant]) -> None:
        body = {
            "version": 1,
            "pid": os.getpid(),
            "items": [_item(one) for one in self._seen.values()],
            "refused": self.refused,
            "leaving": [
                {"tenant": one.tenant.slug, "endsAt": _moment(one.ends_at)} for one in leaving
            ],
        }
        text = msgspec.json.encode(body)
        if text != self._written:
            write_private(self._file, text)
            self._written = text


def _judged(seen: Seen, world: StatusInputs, now: datetime) -> Seen:
    """The object with the status that is to be written."""
    judgement = judge(seen, world)
    if judgement is None:
        return seen
    changed = {**seen.status, **patch(seen, judgement, now=now)}
    return replace(
        seen, status={name: value for name, value in changed.items() if value is not None}
    )


def _item(seen: Seen) -> dict[str, Any]:
    kind, namespace, name = seen.key
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {
            "namespace": namespace,
            "name": name,
            "uid": seen.uid,
            "generation": seen.generation,
        },
        "spec": seen.spec,
        "status": seen.status,
    }


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
