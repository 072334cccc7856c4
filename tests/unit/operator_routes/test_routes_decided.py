"""What is done about routes: what differs and no more, nothing of other people's, and nothing
twice.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sinal_operator.cluster.resources import HTTP_ROUTES, INGRESSES, Resource
from sinal_operator.cluster.routes import RouteOptions, desired, findings
from sinal_operator.cluster.routes.decision import Decision, decide, key_of
from sinal_operator.cluster.routes.desired import DesiredRoute
from sinal_operator.cluster.routes.observed import ObservedRoutes, see

from tests.unit.operator_routes.plans import options, plan

INGRESS, TLS, GATEWAY = options(), options(issuer="ca"), options("gateway")
HOST = "track.loja.example"
LOJA = plan(hosts=(HOST,))


def there(
    wanted: DesiredRoute, *, resource: Resource | None = None, **metadata: Any
) -> ObservedRoutes:
    """A route as the API server has it once it was applied."""
    frame = {"uid": f"uid-of-{wanted.name}", "resourceVersion": "7", "generation": 1}
    body = copy.deepcopy(wanted.body)
    body["metadata"] = {**body["metadata"], **frame, **metadata}
    return see(resource or wanted.resource, body, namespace="sinal")


def somebodys(
    host: str = HOST,
    path: str = "/",
    *,
    name: str = "site",
    namespace: str = "web",
    ingress_class: str = "",
) -> ObservedRoutes:
    """Somebody else's Ingress."""
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": {}}]}}
    spec = {"rules": [rule], **({"ingressClassName": ingress_class} if ingress_class else {})}
    metadata = {"name": name, "namespace": namespace, "uid": "theirs", "resourceVersion": "1"}
    return see(INGRESSES, {"metadata": metadata, "spec": spec}, namespace="sinal")


def somebodys_http_route(host: str = HOST, *, gateway: str = "public") -> ObservedRoutes:
    """Somebody else's HTTPRoute; without a path, which stands for all."""
    spec = {
        "hostnames": [host],
        "parentRefs": [{"name": gateway, "namespace": "infra"}],
        "rules": [{}],
    }
    metadata = {"name": "site", "namespace": "web", "uid": "theirs", "resourceVersion": "1"}
    return see(HTTP_ROUTES, {"metadata": metadata, "spec": spec}, namespace="sinal")


def reasons(decision: Decision) -> list[str]:
    """Reasons of the findings, in order."""
    return [step.finding.reason for step in decision.steps if step.finding is not None]


def edited(live: ObservedRoutes, **changes: Any) -> ObservedRoutes:
    """The same after somebody's hand: fields of the spec, None takes one away."""
    body = copy.deepcopy(live.body)
    for field, value in changes.items():
        body["spec"][field] = value
        if value is None:
            del body["spec"][field]
    return dataclasses.replace(live, body=body)


def test_what_is_there_as_it_is_wanted_is_left() -> None:
    wanted = desired.routes(LOJA, INGRESS)
    assert decide(INGRESS, wanted, map(there, wanted)).quiet


def test_what_is_missing_is_made_and_what_is_wanted_no_more_goes() -> None:
    before, after = (
        desired.routes(LOJA, INGRESS),
        desired.routes(plan(hosts=("go.loja.example",)), INGRESS),
    )
    decision = decide(INGRESS, after, map(there, before))
    assert [live.name for live in decision.remove] == [f"sinal-h-{HOST}"]
    assert [step.wanted.name for step in decision.steps if step.differs] == [
        "sinal-h-go.loja.example"
    ]


def test_an_edited_route_is_put_right_and_an_added_field_is_left_to_who_added_it() -> None:
    wanted = desired.routes(LOJA, TLS)[1:]
    (live,) = map(there, wanted)
    assert not decide(TLS, wanted, [edited(live, tls=None)]).quiet
    assert not decide(TLS, wanted, [edited(live, rules=[])]).quiet
    assert not decide(TLS, wanted, [edited(live, rules=live.body["spec"]["rules"] * 2)]).quiet
    assert decide(TLS, wanted, [edited(live, defaultBackend={})]).quiet


def test_a_setting_that_is_unset_is_taken_back() -> None:
    (before, after) = (desired.routes(LOJA, one) for one in (TLS, INGRESS))
    decision = decide(INGRESS, after, map(there, before))
    assert all(step.differs for step in decision.steps), (
        "nothing that is wanted is missing, but tls is too much"
    )


def test_what_the_api_server_makes_of_it_is_not_written_again_until_it_changes() -> None:
    wanted = desired.routes(LOJA, INGRESS)[:1]
    live = edited(there(wanted[0]), rules=[])
    settled = {live.key: (wanted[0].mark, live.digest())}
    assert decide(INGRESS, wanted, [live], settled=settled).quiet
    assert not decide(INGRESS, wanted, [edited(live, rules=None)], settled=settled).quiet


def test_an_object_of_that_name_that_is_not_ours_is_never_taken() -> None:
    wanted = desired.routes(plan(), INGRESS)
    live = somebodys("elsewhere.example", name=wanted[0].name, namespace="sinal")
    decision = decide(INGRESS, wanted, [live])
    assert decision.quiet
    assert reasons(decision) == [findings.ROUTE_FOREIGN]
    gone = decide(INGRESS, (), [live])
    assert gone.quiet, "nor is it removed with the tenant"


def test_our_labels_in_another_namespace_make_nothing_ours() -> None:
    wanted = desired.routes(LOJA, INGRESS)
    live = there(wanted[1], namespace="elsewhere")
    assert not live.ours
    decision = decide(INGRESS, wanted, [there(wanted[0]), live])
    assert decision.quiet
    assert reasons(decision) == [findings.HOST_CLAIMED]


def test_a_host_that_somebody_routes_already_is_not_taken_from_him() -> None:
    wanted = desired.routes(LOJA, INGRESS)
    decision = decide(INGRESS, wanted, [somebodys()])
    assert [step.wanted.place.prefix for step in decision.steps if step.differs] == ["/t/loja/"]
    (finding,) = (step.finding for step in decision.steps if step.finding is not None)
    assert (finding.state, finding.reason) == ("False", findings.HOST_CLAIMED)
    assert f"{HOST} is claimed by Ingress web/site" in finding.message


def test_a_route_that_is_there_stays_when_somebody_comes_later() -> None:
    wanted = desired.routes(LOJA, INGRESS)
    decision = decide(INGRESS, wanted, [*map(there, wanted), somebodys()])
    assert decision.quiet
    assert reasons(decision) == [findings.HOST_CONTESTED]


def test_the_shared_host_may_have_other_paths_of_other_people() -> None:
    wanted = desired.routes(plan(), INGRESS)
    for path in ("/", "/t", "/t/other/", "/t/lo", "/api"):
        assert reasons(decide(INGRESS, wanted, [somebodys("in.example", path)])) == []
    for path in ("/t/loja", "/t/loja/", "/t/loja/api"):
        assert reasons(decide(INGRESS, wanted, [somebodys("in.example", path)])) == [
            findings.HOST_CLAIMED
        ]


def test_only_who_may_meet_us_at_a_proxy_is_a_rival() -> None:
    traefik = options(ingress_class="traefik")
    wanted = desired.routes(LOJA, traefik)
    assert reasons(decide(traefik, wanted, [somebodys(ingress_class="internal")])) == []
    assert reasons(decide(traefik, wanted, [somebodys(ingress_class="traefik")])) == [
        findings.HOST_CLAIMED
    ]
    assert reasons(decide(traefik, wanted, [somebodys()])) == [findings.HOST_CLAIMED]
    attached = desired.routes(LOJA, GATEWAY)
    assert reasons(decide(GATEWAY, attached, [somebodys_http_route(gateway="internal")])) == []
    assert reasons(decide(GATEWAY, attached, [somebodys_http_route()])) == [findings.HOST_CLAIMED]
    assert reasons(decide(GATEWAY, attached, [somebodys()])) == [findings.HOST_CLAIMED]


def test_routes_of_the_other_kind_go_when_the_mode_changes() -> None:
    old, new = desired.routes(LOJA, INGRESS), desired.routes(LOJA, GATEWAY)
    decision = decide(GATEWAY, new, map(there, old))
    assert {live.resource.kind for live in decision.remove} == {"Ingress"}
    assert len(decision.remove) == len(old)
    assert reasons(decision) == [], "our own are no rivals"


def test_routes_of_a_tenant_that_is_left_alone_are_neither_removed_nor_given_away() -> None:
    old = desired.routes(LOJA, INGRESS)
    heir = desired.routes(plan("heir", hosts=(HOST,)), INGRESS)
    decision = decide(INGRESS, heir, map(there, old), left_alone=frozenset({LOJA.uid}))
    assert decision.remove == ()
    assert [step.wanted.name for step in decision.steps if step.differs] == ["sinal-t-heir"]
    assert reasons(decision) == ["HostTaken"]


def test_a_slug_that_another_tenant_has_now_leads_to_that_one() -> None:
    old, new = (
        desired.routes(plan(uid="first"), INGRESS),
        desired.routes(plan(uid="second"), INGRESS),
    )
    decision = decide(INGRESS, new, map(there, old))
    assert decision.remove == (), "the place does not go dark"
    assert [step.wanted.uid for step in decision.steps if step.differs] == ["second"]


def test_a_route_on_its_way_out_is_waited_for() -> None:
    wanted = desired.routes(plan(uid="second"), INGRESS)
    (old,) = desired.routes(plan(uid="first"), INGRESS)
    assert decide(INGRESS, wanted, [there(old, deletionTimestamp="2026-11-24T20:00:00Z")]).quiet


tenants = st.lists(
    st.builds(
        lambda name, uid, hosts: plan(name, uid=f"{name}-{uid}", hosts=tuple(sorted(hosts))),
        st.sampled_from(["loja", "curso", "clube"]),
        st.integers(0, 1),
        st.sets(st.sampled_from(["a.example", "b.example", "in.example"])),
    ),
    unique_by=lambda found: found.name,
    max_size=3,
)
others = st.lists(
    st.builds(
        somebodys,
        st.sampled_from(["a.example", "in.example", "c.example"]),
        st.sampled_from(["/", "/t/loja/", "/x"]),
        name=st.sampled_from(["site", "sinal-t-loja", "sinal-h-a.example"]),
        namespace=st.sampled_from(["web", "sinal"]),
    ),
    unique_by=lambda live: live.key,
    max_size=3,
)
modes = st.sampled_from([INGRESS, TLS, GATEWAY])


def _hosts_once(found: list[Any]) -> list[Any]:
    """Each host with one tenant, as compiled plans have them."""
    taken: set[str] = set()
    once = []
    for one in found:
        once.append(
            plan(
                one.name, uid=one.uid, hosts=tuple(host for host in one.hosts if host not in taken)
            )
        )
        taken |= set(one.hosts)
    return once


def wanted_of(found: Iterable[Any], mode: RouteOptions) -> list[DesiredRoute]:
    return [
        *desired.of_installation(mode),
        *(one for t in found for one in desired.routes(t, mode)),
    ]


def done(decision: Decision, lives: Iterable[ObservedRoutes]) -> list[ObservedRoutes]:
    """What is there once everything that was decided is done."""
    store = {live.key: live for live in lives}
    for live in decision.remove:
        del store[live.key]
    for step in decision.steps:
        if step.differs:
            store[key_of(step.wanted)] = there(step.wanted)
    return list(store.values())


@given(tenants.map(_hosts_once), modes, tenants.map(_hosts_once), modes, others, st.booleans())
def test_doing_what_was_decided_leaves_nothing_to_decide_and_nothing_behind(
    before: list[Any],
    old: RouteOptions,
    after: list[Any],
    new: RouteOptions,
    foreign: list[ObservedRoutes],
    alone: bool,
) -> None:
    lives = done(decide(old, wanted_of(before, old), foreign), foreign)
    left_alone = frozenset({before[0].uid}) if alone and before else frozenset[str]()
    wanted = wanted_of([one for one in after if one.uid not in left_alone], new)
    decision = decide(new, wanted, lives, left_alone=left_alone)
    now = done(decision, lives)
    assert decide(new, wanted, now, left_alone=left_alone).quiet
    assert [live for live in now if not live.ours] == [live for live in lives if not live.ours]
    assert all(live in now for live in lives if live.tenant_uid in left_alone)
    owners = {one.uid for one in after} | left_alone | {""}
    assert {live.tenant_uid for live in now if live.ours} <= owners
    blocked = {step.key for step in decision.steps if step.blocked}
    assert {key_of(one) for one in wanted} <= {live.key for live in now} | blocked
