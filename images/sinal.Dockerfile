# Every role of Sinal, operator and runtime alike: `docker run IMAGE run ingest`. See docs/images.md.
#
# Pin the base by digest where builds must be repeatable:
#   docker build -f images/sinal.Dockerfile --build-arg BASE=python:3.11-slim@sha256:... .
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TOOLS=/tools
WORKDIR /src
# Wheels in the folder `wheels` of the context are all that is used then: a build without a network.
COPY wheel[s] wheels
COPY requirements/image.lock requirements/image-tools.lock requirements/
RUN set -eu; \
    if [ -d wheels ]; then set -- --no-index --find-links wheels; fi; \
    python -m venv "${TOOLS}"; \
    "${TOOLS}/bin/pip" install --quiet --disable-pip-version-check "$@" --require-hashes \
      -r requirements/image-tools.lock; \
    "${TOOLS}/bin/uv" venv --quiet --no-config --python "$(command -v python3)" /opt/sinal; \
    "${TOOLS}/bin/uv" pip install --quiet --no-config --no-cache --python /opt/sinal/bin/python \
      --compile-bytecode --no-deps "$@" --require-hashes -r requirements/image.lock
COPY pyproject.toml README.md ./
COPY crds crds
COPY operator operator
COPY runtime runtime
COPY examples examples
# Of the client's classes, one for each kind of Kubernetes, no role imports more than three; compiled, they are 37 MB.
# Bytecode stands in no package's RECORD: what is installed is still what its distribution says.
RUN set -eu; \
    "${TOOLS}/bin/python" -m hatchling build -t wheel -d dist; \
    "${TOOLS}/bin/uv" pip install --quiet --no-config --no-cache --offline --python /opt/sinal/bin/python \
      --compile-bytecode --no-deps dist/*.whl; \
    kubernetes=$(echo /opt/sinal/lib/python3.*/site-packages/kubernetes); \
    rm -r "$kubernetes"/client/api/__pycache__ "$kubernetes"/client/models/__pycache__ \
      "$kubernetes"/aio/client/models/__pycache__; \
    "${TOOLS}/bin/cyclonedx-py" environment --output-reproducible --output-format JSON \
      --output-file /opt/sinal/sbom.cdx.json /opt/sinal/bin/python

FROM ${BASE}
COPY --from=build /opt/sinal /opt/sinal
LABEL org.opencontainers.image.title="sinal" \
      org.opencontainers.image.description="Server-side tracking for paid-traffic funnels" \
      dev.sinal.sbom="/opt/sinal/sbom.cdx.json"
ENV PATH=/opt/sinal/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SINAL_HOST=0.0.0.0
RUN echo "sinal:x:65532:65532::/tmp:/usr/sbin/nologin" >>/etc/passwd && echo "sinal:x:65532:" >>/etc/group
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["sinal"]
