"""Values of what Sinal needs beside it: NATS, PostgreSQL, Redis, given or for evaluation."""

from __future__ import annotations

from pydantic import Field

from charts.generator.parts import Object, ServiceImage, Values, resources


class Authority(Values):
    """Which authority a service's certificate must be of.

    With a Secret or a ConfigMap set, TLS is asked for.
    """

    existing_secret: str = Field(
        "", description="Secret that holds the authority's certificates (PEM)."
    )
    config_map: str = Field("", description="ConfigMap that holds them; one of the two.")
    key: str = Field("ca.crt", description="Key of the certificates in it.")


class NatsUsers(Values):
    """Users of NATS, one a role."""

    enabled: bool = Field(
        False,
        description="Each role has a user of its own (docs/operators/install.md, Users of NATS): "
        "its URL stands in "
        "the Secret under the role's name; with `evaluation.enabled` the pod of NATS has the "
        "users. Switched on later, "
        "that pod starts again: without a volume what waits in its queues is lost.",
    )


class Nats(Values):
    """NATS with JetStream."""

    existing_secret: str = Field("", description="Secret that holds the URL with its credentials.")
    secret_key: str = Field("url", description="Key of the URL in that Secret.")
    users: NatsUsers = Field(default_factory=NatsUsers, description="Users of NATS, one a role.")
    url: str = Field(
        "",
        description="URL without credentials, where no Secret is needed: "
        "`nats://nats.messaging:4222`.",
    )
    replicas: int = Field(
        3,
        ge=1,
        le=5,
        description="Copies of each stream; 3 wants a NATS cluster of three (evaluation: 1).",
    )
    ca: Authority = Field(
        default_factory=Authority,
        description="Authority of NATS's certificate, where the system's do not know it; nothing "
        "is sent without TLS "
        "then.",
    )


class PostgresKeys(Values):
    """Keys of the URLs in the Secret."""

    url: str = Field("url", description="URL of the worker's login.")
    owner_url: str = Field(
        "",
        description="URL of the tables' owner, for migrations and partitions; empty: the worker's.",
    )
    api_url: str = Field(
        "",
        description="URL of the login that the operations API has for tenants' keys; empty: see "
        "`apiLogin`.",
    )


class Postgres(Values):
    """PostgreSQL 15 or newer."""

    existing_secret: str = Field("", description="Secret that holds the URLs.")
    secret_keys: PostgresKeys = Field(
        default_factory=PostgresKeys, description="Keys of the URLs in that Secret."
    )
    api_login: bool | None = Field(
        None,
        description="Give the operations API the login `sinal_api` for tenants' keys, with a "
        "password of its own in "
        "the Secret `<name>-api-login`. Default: where the chart makes logins (`migration.logins`, "
        "evaluation) and "
        "`apiUrl` is empty.",
    )
    ca: Authority = Field(
        default_factory=Authority,
        description="Authority of PostgreSQL's certificate: `sslmode=verify-full`, unless a URL "
        "says otherwise.",
    )


class Redis(Values):
    """Redis; without it limits of the edge are kept per pod."""

    existing_secret: str = Field("", description="Secret that holds the URL with its password.")
    secret_key: str = Field("url", description="Key of the URL in that Secret.")
    url: str = Field("", description="URL without password, where no Secret is needed.")
    ca: Authority = Field(
        default_factory=Authority,
        description="Authority of Redis's certificate; the URL begins with `rediss://` then.",
    )


class Persistence(Values):
    """Volume of an evaluation service."""

    enabled: bool = Field(
        False, description="Keep data in a PersistentVolumeClaim; else it goes with the pod."
    )
    size: str = Field("8Gi", description="Size of the claim.")
    storage_class_name: str = Field("", description="StorageClass; empty: the cluster's default.")


class EvaluationService(Values):
    """One pod of an evaluation service."""

    image: ServiceImage
    command: list[str] = Field(
        default_factory=list, description="Command; empty: the image's own entry point."
    )
    args: list[str] = Field(default_factory=list, description="Arguments.")
    resources: Object = Field(default_factory=dict, description="Requests and limits.")
    run_as_user: int = Field(
        65532, ge=1, description="User of the process and group of its volume."
    )


class EvaluationPostgres(EvaluationService):
    """PostgreSQL.

    The image takes POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and PGDATA as the official one
    does.
    """

    persistence: Persistence = Field(default_factory=Persistence, description="Its volume.")


class EvaluationNats(EvaluationService):
    """NATS. Its configuration is mounted at /etc/nats/nats.conf and reads NATS_PASSWORD."""

    persistence: Persistence = Field(default_factory=Persistence, description="Its volume.")


# The password comes over standard input: arguments of a process are everybody's to read on its
# node.
REDIS = """\
exec redis-server - <<EOF
requirepass "$REDIS_PASSWORD"
save ""
appendonly no
maxmemory 128mb
EOF
"""


class Evaluation(Values):
    """Single pods of NATS, PostgreSQL and Redis, to try Sinal.

    No replicas, no backups: not for data one would miss.
    """

    enabled: bool = Field(False, description="Run them, and use them.")
    nats: EvaluationNats = Field(
        default_factory=lambda: EvaluationNats(
            image=ServiceImage(repository="nats", tag="2.12-alpine"),
            args=["--config", "/etc/nats/nats.conf"],
            resources=resources("50m", "128Mi", "512Mi"),
        ),
        description="NATS. Its configuration is mounted at /etc/nats/nats.conf and reads "
        "NATS_PASSWORD.",
    )
    postgres: EvaluationPostgres = Field(
        default_factory=lambda: EvaluationPostgres(
            image=ServiceImage(repository="postgres", tag="18-alpine"),
            resources=resources("100m", "256Mi", "1Gi"),
            run_as_user=70,
        ),
        description="PostgreSQL. The image takes POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and "
        "PGDATA, as the "
        "official one does.",
    )
    redis: EvaluationService = Field(
        default_factory=lambda: EvaluationService(
            image=ServiceImage(repository="redis", tag="8-alpine"),
            command=["sh", "-c"],
            args=[REDIS],
            resources=resources("20m", "64Mi", "256Mi"),
        ),
        description="Redis. REDIS_PASSWORD is in its environment.",
    )
