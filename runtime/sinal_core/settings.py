"""Settings of a process, read once at start from the environment (prefix `SINAL_`) and handed
down.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from sinal_crds import trust

LEASE_SHARE = 11 / 12  # of ack_wait: the longest claim; the rest is for clocks and the way back


class Settings(BaseSettings):
    """Everything a role of the runtime needs from outside its plans."""

    model_config = SettingsConfigDict(env_prefix="SINAL_", frozen=True, extra="ignore")

    nats_url: str = Field("nats://127.0.0.1:4222", description="NATS server with JetStream.")
    nats_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authority that NATS's certificate must be of; NATS "
        "has to speak TLS "
        "then. Default: the system's, where NATS asks for TLS.",
    )
    nats_replicas: int = Field(
        1,
        ge=1,
        le=5,
        description="Replicas of the streams that the operator makes; 3 in a cluster.",
    )
    deletion_patience_s: float = Field(
        120.0,
        ge=0,
        description="How long a Tenant that is deleted waits for NATS to be cleaned "
        "before it goes anyway.",
    )
    lease_namespace: str | None = Field(
        None,
        max_length=63,
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        description="Namespace of the Lease by which one of several operators leads; default: the "
        "pod's. "
        "Outside a pod and unset there is one operator and no Lease.",
    )
    lease_name: str = Field(
        "sinal-operator",
        max_length=253,
        pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description="Name of that Lease; one for each installation.",
    )
    watch_namespaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Namespaces that the operator serves, with commas between; default: all."
    )
    routes: Literal["none", "ingress", "gateway"] = Field(
        "none",
        description="What the operator makes for tenants' hosts and paths: Ingresses (`ingress`), "
        "HTTPRoutes "
        "(`gateway`), or `none`.",
    )
    routes_namespace: str = Field(
        "",
        description="Namespace of ingest's Service, where routes are made; default: the "
        "operator's own.",
    )
    routes_service: str = Field("sinal-ingest", description="Name of ingest's Service.")
    routes_service_port: int = Field(8080, ge=1, le=65_535, description="Port of ingest's Service.")
    routes_annotations: dict[str, str] = Field(
        {},
        description='Annotations of every route, as a JSON object: `{"example.com/key": "value"}`.',
    )
    ingress_class: str = Field(
        "", description="IngressClass of routes; default: the cluster's own default."
    )
    gateway: str = Field(
        "",
        description="Gateway that HTTPRoutes attach to: `namespace/name` or "
        "`namespace/name/section`.",
    )
    cert_issuer: str = Field(
        "",
        description="cert-manager's Issuer, in `routes_namespace`, for certificates of Ingresses' "
        "hosts.",
    )
    cert_cluster_issuer: str = Field(
        "", description="The same with a ClusterIssuer; one of the two."
    )
    database_url: SecretStr = Field(
        SecretStr("postgresql://127.0.0.1/sinal"),
        description="PostgreSQL of the worker role. TLS is libpq's: `sslmode=verify-full` and "
        "`sslrootcert=FILE` in "
        "the URL, or PGSSLMODE and PGSSLROOTCERT for all three URLs.",
    )
    api_database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL of what the operations API does for a tenant's key, as the login "
        "`sinal_api`; all else "
        "it does by `database_url`. Default: that one, stepping down to `sinal_api`.",
    )
    api_database_password: SecretStr | None = Field(
        None,
        description="The same by the password alone: `sinal_api` at the server and database of "
        "`database_url`.",
    )
    api_without_row_security: bool = Field(
        False,
        description="Let the operations API start where PostgreSQL can't keep a tenant's key to "
        "that tenant's rows: "
        "the role `sinal_api` is missing, or the login may not take it.",
    )
    maintenance_database_url: SecretStr | None = Field(
        None,
        description="PostgreSQL as the tables' owner, for housekeeping's partitions; default: "
        "`database_url`.",
    )
    database_may_be_lost: bool = Field(
        False,
        description="PostgreSQL may come back without its data, as the evaluation's does: "
        "housekeeping makes tables "
        "and logins again, and roles begin anew over them. Wants `maintenance_database_url`.",
    )
    redis_url: str | None = Field(
        None, description="Redis; without it limits are kept per process."
    )
    redis_ca_file: Path | None = Field(
        None,
        description="Certificates (PEM) of the authority that Redis's certificate must be of; for "
        "a URL with `rediss://`.",
    )
    keyring_file: Path = Field(
        Path("keyring.json"),
        description="The keyring, as the operator has it, or the part of it that the role needs.",
    )
    graph_url: str = Field("https://graph.facebook.com", description="Base of the Graph API.")
    graph_timeout_s: float = Field(
        10.0,
        gt=0,
        le=25,
        description="One request to the Graph API; two of them fit into `lane_ack_wait_s` (checked "
        "at start).",
    )
    lane_ack_wait_s: float = Field(
        60.0,
        ge=5,
        le=600,
        description="When the broker gives a lost worker's messages to another; the same for "
        "operator and workers.",
    )
    host: str = Field("127.0.0.1", description="Address of the HTTP listener.")
    port: int = Field(8080, ge=0, le=65_535, description="Port of the HTTP listener.")
    metrics_port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="Port of `/readyz`, `/metrics` and `/healthz` of ingest and API, whose own "
        "listener is for the "
        "world and has none but the last. Default: the one after SINAL_PORT. The other roles have "
        "all on SINAL_PORT.",
    )
    public_url: str = Field(
        "http://127.0.0.1:8080",
        description="Where gateways reach ingest from outside; the operator makes the webhook URLs "
        "in statuses of it.",
    )
    reserved_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts of the platform, with commas between, that no Tenant may have: the "
        "API's, the console's. "
        "The host of `public_url` and the names of ingest's Service are among them unsaid.",
    )
    admin_key: SecretStr | None = Field(
        None, description="Key of the operations API with every right."
    )
    manifest_folder: Path | None = Field(
        None,
        description="Where the operations API keeps manifests made through it; a folder the "
        "operator reads.",
    )
    manifest_apply: bool = Field(
        False,
        description="Whether the operations API applies manifests made through it to the cluster, "
        "in the tenant's "
        "namespace, by server-side apply as `sinal-api`.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        le=10,
        description="How many proxies before ingest append to X-Forwarded-For; 0 ignores the "
        "header.",
    )
    country_header: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,64}$",
        description="Header in which the proxies before ingest tell the visitor's country (ISO "
        "3166-1 alpha-2), such "
        "as CF-IPCountry, for funnels that require consent in some countries. The proxies must "
        "overwrite what a "
        "visitor sends; without `trusted_proxies` it is ignored.",
    )
    body_timeout_s: float = Field(
        10.0, gt=0, le=120, description="How long a request's body may take to arrive at the edge."
    )
    drain_s: float = Field(
        0.0,
        ge=0,
        le=60,
        description="How long edge, operations API and metrics adapter answer unready before they "
        "stop listening: the "
        "time that a load balancer needs to notice.",
    )
    spool_dir: Path | None = Field(
        None,
        description="Folder of the edge's spool, one a process; without it a broker that is away "
        "means 503.",
    )
    spool_bytes: int = Field(
        1 << 30, ge=1 << 16, description="Bytes of the disk that the spool may take."
    )
    spool_free_bytes: int = Field(
        256 << 20, ge=0, description="Bytes of the disk that the spool leaves free."
    )
    facts_interval_s: float = Field(
        15.0,
        ge=0.5,
        le=300,
        description="How often housekeeping looks what to tell of tenants in their statuses; less "
        "often where that "
        "would cost more than a twentieth of the time.",
    )
    status_interval_s: float = Field(
        30.0,
        ge=0,
        le=3_600,
        description="Least time between two writes of figures into one object's status by the "
        "operator; conditions do "
        "not wait.",
    )
    metrics_tenants: int = Field(
        200,
        ge=0,
        le=10_000,
        description="Tenants with series of their own in metrics; the rest share `other`.",
    )
    otlp_endpoint: str | None = Field(
        None,
        description="OpenTelemetry collector, OTLP over HTTP: http://collector:4318. Without it no "
        "traces.",
    )
    trace_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of requests that are traced, also of those whose sender's `traceparent` "
        "asks for a trace; "
        "one that asks for none gets none.",
    )
    error_reports_dsn: SecretStr = Field(
        SecretStr(""),
        description="Address of a project of Sentry, or of what speaks its protocol, that is told "
        "of faults: https://KEY@HOST/NUMBER. Empty: nobody is.",
    )
    event_version: Literal[1, 2] = Field(
        2,
        description="Version in which sales are written onto the bus. 1 while pods of release 0.2 "
        "run beside these, or may be gone back to; the chart's default is 1 in this release.",
    )
    match_batch: int = Field(
        200, ge=1, le=1_000, description="Messages of one lane in one transaction."
    )
    match_concurrency: int = Field(2, ge=1, le=64, description="Batches matched at the same time.")
    dispatch_concurrency: int = Field(
        32, ge=1, le=1_000, description="Requests to the Graph API at the same time."
    )
    readback_urls: dict[str, str] = Field(
        {},
        description="Base URLs of gateways' APIs in place of their own, by gateway: for emulators "
        "and proxies.",
    )
    readback_timeout_s: float = Field(
        3.0, gt=0, le=20, description="One request to a gateway's API."
    )
    lane_in_flight: int = Field(
        1_000, ge=1, le=10_000, description="Most un-acked messages a worker holds of one lane."
    )
    adapter_port: int = Field(
        6443,
        ge=0,
        le=65_535,
        description="Port of the metrics adapter's TLS listener, for the API server.",
    )
    adapter_namespace: str | None = Field(
        None, description="Namespace of the adapter's Service and Secret; default: the pod's own."
    )
    adapter_service: str = Field(
        "sinal-metrics-adapter",
        min_length=1,
        description="The Service through which the API server reaches the adapter.",
    )
    adapter_secret: str = Field(
        "sinal-metrics-adapter-tls",
        min_length=1,
        description="Secret with the certificate that the adapter makes itself.",
    )
    adapter_certificate_hours: float = Field(
        2_160.0,
        gt=0,
        description="How long a certificate of the adapter holds; the next one comes after two "
        "thirds.",
    )
    adapter_external_metrics: bool = Field(
        True,
        description="Serve `external.metrics.k8s.io`; false: the depths as JSON only, without any "
        "Kubernetes.",
    )
    log_level: str = Field("info", description="debug, info, warning or error.")
    log_json: bool = Field(True, description="JSON lines instead of a console format.")

    @field_validator("watch_namespaces", "reserved_hosts", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """A list with commas, as people write it into a variable."""
        return (
            tuple(filter(None, map(str.strip, value.split(","))))
            if isinstance(value, str)
            else value
        )

    @field_validator("nats_ca_file", "redis_ca_file")
    @classmethod
    def _holds_certificates(cls, value: Path | None) -> Path | None:
        """A file that can't be used ends the process, rather than each connection: whoever set it
        sees it.
        """
        if value is not None:
            trust.context(value)
        return value

    @model_validator(mode="after")
    def _redis_speaks_tls(self) -> Self:
        """An authority that nobody asks would be taken for safety."""
        if self.redis_ca_file is not None and not (self.redis_url or "").startswith("rediss://"):
            raise ValueError(
                "redis_ca_file is set and redis_url doesn't begin with rediss://: change one of "
                "them"
            )
        return self

    @property
    def nats_authority(self) -> ssl.SSLContext | None:
        """What NATS's certificate must be of.

        None: the system's authorities, where NATS asks for TLS.
        """
        return None if self.nats_ca_file is None else trust.context(self.nats_ca_file)

    @property
    def redis(self) -> str | None:
        """Redis's URL with its authority, as redis-py reads it."""
        if self.redis_url is None or self.redis_ca_file is None:
            return self.redis_url
        return f"{self.redis_url}{'&' if '?' in self.redis_url else '?'}ssl_ca_certs={quote(str(self.redis_ca_file))}"

    @property
    def port_of_probes(self) -> int:
        """Of a role that has another listener for the world; 0 takes a free one."""
        if self.metrics_port is not None:
            return self.metrics_port
        return self.port + 1 if self.port else 0

    @model_validator(mode="after")
    def _manifests_have_one_place(self) -> Self:
        """A manifest in two places would be two owners of one object."""
        if self.manifest_apply and self.manifest_folder is not None:
            raise ValueError(
                "manifest_apply and manifest_folder exclude each other: unset one of them"
            )
        return self

    @model_validator(mode="after")
    def _lease_covers_a_request(self) -> Self:
        """A claim must outlive its request and end before the broker gives the message to another
        worker.
        """
        if 2 * self.graph_timeout_s > self.lane_ack_wait_s * LEASE_SHARE:
            longest = self.lane_ack_wait_s * LEASE_SHARE / 2
            raise ValueError(
                f"graph_timeout_s is {self.graph_timeout_s:g} and may be {longest:g} at most with "
                "a lane_ack_wait_s of "
                f"{self.lane_ack_wait_s:g}: a request must end while its claim holds"
            )
        return self
