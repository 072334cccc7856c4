"""Objects and Secrets to plans: the only way configuration reaches the runtime.

Pure and deterministic.

A broken part never takes its tenant down: it is compiled with its `problem`, or left out with a
`ReferenceProblem`. Keys and tokens are minted from the keyring, so that compiling twice gives the same ones;
the annotation `sinal.dev/rotate` on a Funnel or GatewayIntegration, with any new value, replaces
that object's. What mint keys of before made of the same words is in the plan as well, until they
are retired.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sinal_crds.credentials import optional_keys, required_keys
from sinal_crds.hosts import NOTHING_RESERVED, ReservedHosts
from sinal_crds.keyring import Keyring
from sinal_crds.loading import Objects
from sinal_crds.models import Destination, Funnel, GatewayIntegration, Manifest, Tenant
from sinal_crds.models.funnel import NOTHING
from sinal_crds.models.integration import OUTSIDE, is_outside
from sinal_crds.plan import (
    DEFAULT_EVENTS,
    BatchPlan,
    ConsentPlan,
    DataProcessing,
    DestinationPlan,
    FunnelPlan,
    IntegrationPlan,
    Limits,
    MatchingPlan,
    RateLimit,
    TenantPlan,
    ValuePlan,
)
from sinal_crds.references import (
    NOTHING_HELD,
    SECRET_KEY_MISSING,
    SECRET_NOT_FOUND,
    Holdings,
    ReferenceProblem,
    Resolved,
    problem,
    resolve,
)
from sinal_crds.secrets import Secrets

# Never to be changed: streams made from files bear a UID of it, and would be somebody else's.
_UID_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sinal.dev")


@dataclass(frozen=True)
class Compilation:
    """What the objects come to.

    `minted` holds keys and tokens in clear: for statuses, Secrets and terminals only.
    """

    plans: tuple[TenantPlan, ...]  # by slug
    problems: tuple[ReferenceProblem, ...]
    minted: Mapping[str, Any] = field(repr=False)
    minted_at: int | None = None  # since when these are, while what was minted before is taken too

    def plan(self, slug: str) -> TenantPlan | None:
        """The plan of that tenant, or None."""
        return next((p for p in self.plans if p.slug == slug), None)


def compile(
    objects: Objects,
    secrets: Secrets,
    keyring: Keyring,
    *,
    reserved: ReservedHosts = NOTHING_RESERVED,
    held: Holdings = NOTHING_HELD,
) -> Compilation:
    """Plans of all tenants, with every problem found on the way.

    No plan has a host that is `reserved`.

    What is `held` stays with the Tenant that has it, whichever of several is older. `minted[slug]`
    is `{"funnels": {name: {"public_key", "server_key"}}, "webhooks": {name: {"gateway",
    "token"}}}`.
    """
    resolved, problems = resolve(objects, reserved, held)
    compilers = [_TenantCompiler(part, secrets, keyring) for part in resolved]
    plans = tuple(compiler.plan() for compiler in compilers)
    return Compilation(
        plans=plans,
        problems=(*problems, *(p for compiler in compilers for p in compiler.problems)),
        minted={c.slug: {"funnels": c.funnel_keys, "webhooks": c.webhooks} for c in compilers},
        minted_at=keyring.minted_at,
    )


def uid_of(manifest: Manifest) -> str:
    """The object's UID.

    From files, where there is none, derived from its kind, namespace and name.
    """
    return manifest.metadata.uid or str(
        uuid.uuid5(_UID_NAMESPACE, f"{manifest.kind}/{manifest.namespace}/{manifest.name}")
    )


class _TenantCompiler:
    """One tenant's plan, with the problems and the keys that come up while it is made."""

    def __init__(self, part: Resolved, secrets: Secrets, keyring: Keyring) -> None:
        self._part = part
        self._secrets = secrets
        self._keyring = keyring
        self.slug = part.tenant.slug
        self.problems: list[ReferenceProblem] = []
        self.funnel_keys: dict[str, dict[str, str]] = {}
        self.webhooks: dict[str, dict[str, str]] = {}

    def plan(self) -> TenantPlan:
        tenant, spec = self._part.tenant, self._part.tenant.spec
        return TenantPlan(
            slug=tenant.slug,
            namespace=tenant.namespace,
            name=tenant.name,
            uid=uid_of(tenant),
            heir_of=tenant.heir_of,
            country=spec.country,
            timezone=self._part.timezone,
            suspended=spec.suspended,
            hosts=self._part.hosts,
            limits=_limits(tenant),
            consent_default=spec.consent.default,
            deletion_policy=spec.deletion_policy,
            destinations=tuple(map(self._destination, self._part.destinations)),
            funnels=tuple(map(self._funnel, self._part.funnels)),
            integrations=tuple(map(self._integration, self._part.integrations)),
        )

    def _destination(self, item: Destination) -> DestinationPlan:
        spec, ref = item.spec, item.spec.meta.access_token_secret_ref
        data, trouble = self._secret(item, "spec.meta.accessTokenSecretRef", ref.name, (ref.key,))
        return DestinationPlan(
            name=item.name,
            pixel_id=spec.meta.pixel_id,
            api_version=spec.meta.api_version,
            access_token=data.get(ref.key, ""),
            test_event_code=spec.meta.test_event_code,
            batch=BatchPlan(max_events=spec.batch.max_events, max_age_ms=spec.batch.max_age_millis),
            rate_limit=RateLimit(
                requests_per_second=spec.rate_limit.requests_per_second,
                concurrency=spec.rate_limit.concurrency,
            ),
            on_doubt=spec.on_doubt,
            data_processing=_data_processing(item),
            problem=trouble,
            suspended=spec.suspended,
        )

    def _funnel(self, item: Funnel) -> FunnelPlan:
        spec = item.spec
        public_key = "fk_" + self._mint("public-key", item)
        server_key = self._keyring.server_key(item.namespace, item.name, item.rotation)
        self.funnel_keys[item.name] = {"public_key": public_key, "server_key": server_key}
        return FunnelPlan(
            name=item.name,
            type=spec.type,
            public_key=public_key,
            # Of server keys and tokens only digests: this part of a plan lies in the bucket in
            # clear.
            server_key_sha256=_sha256(server_key),
            earlier_public_keys=tuple(
                "fk_" + one for one in self._minted_before("public-key", item)
            ),
            earlier_server_keys_sha256=tuple(
                _sha256("sk_" + one) for one in self._minted_before("server-key", item)
            ),
            landing_hosts=tuple(spec.landing_hosts),
            destinations=self._part.funnel_destinations[item.name],
            matching=_matching(item),
            events=_events(item),
            send_renewals=spec.renewals == "Send",
            send_free_orders=spec.free_orders == "Send",
            consent=ConsentPlan(
                default=spec.consent.default or self._part.tenant.spec.consent.default,
                cookies_before_consent=spec.consent.cookies_before_consent,
                # A set in the manifest: another order must not make another plan.
                required_in=tuple(sorted(spec.consent.required_in)),
            ),
            value=ValuePlan(
                source=spec.value.source,
                fixed=spec.value.fixed,
                currency=spec.value.currency,
                multiplier=spec.value.multiplier,
            ),
            withheld=tuple(spec.withhold),
            suspended=spec.suspended,
        )

    def _integration(self, item: GatewayIntegration) -> IntegrationPlan:
        spec, ref = item.spec, item.spec.credentials_secret_ref
        token = self._mint("webhook-token", item)
        gateway = spec.gateway.removeprefix(OUTSIDE)  # from here on it is a gateway like the others
        self.webhooks[item.name] = {"gateway": gateway, "token": token}
        data: Mapping[str, str] = {}
        trouble = None
        if ref is not None and is_outside(spec.gateway):
            # Only the package knows its keys: all are taken, and the runtime compares them with
            # SECRET_KEYS.
            welcome = tuple(self._secrets.get(item.namespace, ref.name) or ())
            data, trouble = self._secret(
                item, "spec.credentialsSecretRef", ref.name, (), optional=welcome
            )
        elif ref is not None:
            needed, welcome = required_keys(gateway), optional_keys(gateway)
            data, trouble = self._secret(
                item, "spec.credentialsSecretRef", ref.name, needed, optional=welcome
            )
        lost = self._part.integration_problems.get(item.name)
        return IntegrationPlan(
            name=item.name,
            gateway=gateway,
            funnel=spec.funnel_ref,
            token_sha256=_sha256(token),
            earlier_tokens_sha256=tuple(map(_sha256, self._minted_before("webhook-token", item))),
            credentials=dict(data),
            products=tuple(spec.products),
            problem=lost.message if lost else trouble,
            suspended=spec.suspended,
        )

    def _secret(
        self,
        item: Manifest,
        path: str,
        name: str,
        keys: tuple[str, ...],
        *,
        optional: tuple[str, ...] = (),
    ) -> tuple[Mapping[str, str], str | None]:
        """The wanted keys of a Secret that have a value, and what is missing, in words."""
        data = self._secrets.get(item.namespace, name)
        if data is None:
            message = f"Secret {name} does not exist in this namespace; create it"
            return {}, self._trouble(
                item, f"{path}.name", SECRET_NOT_FOUND, message, f"Secret {name}"
            )
        # An empty value counts as missing: with an empty secret anybody could make a gateway's
        # proof.
        missing = [key for key in keys if not data.get(key)]
        found = {key: data[key] for key in (*keys, *optional) if data.get(key)}
        if not missing:
            return found, None
        message = f"Secret {name} has no value for {', '.join(missing)}; add it"
        return found, self._trouble(item, path, SECRET_KEY_MISSING, message, f"Secret {name}")

    def _trouble(self, item: Manifest, path: str, reason: str, message: str, target: str) -> str:
        self.problems.append(problem(item, path, reason, message, target=target))
        return message

    def _mint(self, purpose: str, item: Manifest) -> str:
        return self._keyring.mint(purpose, item.kind, item.namespace, item.name, item.rotation)

    def _minted_before(self, purpose: str, item: Manifest) -> tuple[str, ...]:
        return self._keyring.minted_before(
            purpose, item.kind, item.namespace, item.name, item.rotation
        )


def _limits(tenant: Tenant) -> Limits:
    plan = tenant.spec.plan
    return Limits(
        events_per_minute=plan.events_per_minute,
        max_bytes=plan.max_bytes,
        max_age_s=plan.max_age_hours * 3600,
        retention_days=tenant.spec.privacy.retention_days or plan.retention_days,
    )


def _matching(funnel: Funnel) -> MatchingPlan:
    policy = funnel.spec.matching
    return MatchingPlan(
        click_window_s=policy.click_window_hours * 3600,
        view_window_s=policy.view_window_hours * 3600,
        match_threshold=policy.match_threshold,
        review_threshold=policy.review_threshold,
        review=policy.review,
        unmatched=policy.unmatched,
        wait_for_click_s=policy.wait_for_click_seconds,
    )


def _data_processing(destination: Destination) -> DataProcessing | None:
    told = destination.spec.meta.data_processing
    if told.options is None:
        return None
    return DataProcessing(options=tuple(told.options), country=told.country, state=told.state)


def _events(funnel: Funnel) -> dict[str, str]:
    declared: dict[str, str] = {rule.when: rule.send for rule in funnel.spec.events}
    return {when: send for when, send in (DEFAULT_EVENTS | declared).items() if send != NOTHING}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
