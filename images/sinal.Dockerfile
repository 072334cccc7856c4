# Every role of Sinal, operator and runtime alike: `docker run IMAGE run ingest`. See docs/operators/images.md.
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
COPY images/prune.py images/
RUN set -eu; \
    if [ -d wheels ]; then set -- --no-index --find-links wheels; fi; \
    python -m venv "${TOOLS}"; \
    "${TOOLS}/bin/pip" install --quiet --disable-pip-version-check "$@" --require-hashes \
      -r requirements/image-tools.lock; \
    "${TOOLS}/bin/uv" venv --quiet --no-config --python "$(command -v python3)" /opt/sinal; \
    "${TOOLS}/bin/uv" pip install --quiet --no-config --no-cache --python /opt/sinal/bin/python \
      --no-deps "$@" --require-hashes -r requirements/image.lock; \
    python3 images/prune.py /opt/sinal/lib/python3.*/site-packages
COPY pyproject.toml README.md ./
COPY crds crds
COPY operator operator
COPY runtime runtime
COPY examples examples
# The wheel has the sandbox, for laptops. What answers in Meta's place is not to be in production: sandbox.Dockerfile.
RUN set -eu; \
    "${TOOLS}/bin/python" -m hatchling build -t wheel -d dist; \
    "${TOOLS}/bin/uv" pip install --quiet --no-config --no-cache --offline --python /opt/sinal/bin/python \
      --no-deps dist/*.whl; \
    python3 images/prune.py /opt/sinal/lib/python3.*/site-packages sinal_sandbox; \
    "${TOOLS}/bin/cyclonedx-py" environment --output-reproducible --output-format JSON \
      --output-file /opt/sinal/sbom.cdx.json /opt/sinal/bin/python
# The base without what only installs, compiles or explains: the file system of the image. Its list of packages stays,
# for scanners. Bytecode of the standard library comes in, which Python's own images leave out: roles could not keep it.
RUN set -eu; \
    mkdir -p /image/opt /image/tmp /image/usr/sbin; \
    chmod 1777 /image/tmp; \
    tar -C / -c --exclude='*.pyc' \
        --exclude='./usr/local/lib/python3.*/site-packages/*' --exclude='./usr/local/lib/python3.*/config-*' \
        --exclude='./usr/local/lib/python3.*/test' --exclude='./usr/local/lib/python3.*/idlelib' \
        --exclude='./usr/local/lib/python3.*/tkinter' --exclude='./usr/local/lib/python3.*/turtledemo' \
        --exclude='./usr/local/lib/python3.*/ensurepip' --exclude='./usr/local/lib/python3.*/lib2to3' \
        --exclude='./usr/local/lib/python3.*/pydoc_data' --exclude='./usr/local/include' \
        --exclude='./usr/local/share' --exclude='./usr/local/bin/pip*' --exclude='./usr/local/bin/idle*' \
        --exclude='./usr/share/*' --exclude='./usr/include' --exclude='./usr/games' --exclude='./usr/src' \
        --exclude='./usr/sbin/*' --exclude='./usr/lib/apt' --exclude='./usr/lib/*/libapt*' \
        --exclude='./usr/lib/*/gconv' --exclude='./usr/lib/*/perl*' --exclude='./usr/bin/*perl*' \
        --exclude='./usr/bin/apt*' --exclude='./var/cache/*' --exclude='./var/log/*' --exclude='./var/lib/apt' \
        $(cd / && ls -d ./bin ./sbin ./lib* ./usr ./etc ./var) | tar -C /image -x; \
    mkdir -p /image/usr/share; \
    cp -a /usr/share/ca-certificates /image/usr/share/; \
    mv /opt/sinal /image/opt/sinal; \
    python3 -m compileall -q --invalidation-mode unchecked-hash -s /image -p / \
      /image/usr/local/lib/python3.* /image/opt/sinal/lib >/dev/null || true; \
    echo "sinal:x:65532:65532::/tmp:/bin/false" >>/image/etc/passwd; \
    echo "sinal:x:65532:" >>/image/etc/group; \
    size=$(du -sb /image | cut -f1); \
    echo "image: $((size / 1000000)) MB unpacked"; \
    [ "$size" -le 250000000 ] || { echo "more than 250 MB" >&2; exit 1; }; \
    chroot /image /opt/sinal/bin/sinal --version; \
    chroot /image /opt/sinal/bin/python -c 'import importlib.util as modules; \
      assert modules.find_spec("sinal_sandbox") is None, "the sandbox is in the image"'; \
    chroot /image /opt/sinal/bin/python -c 'import os, ssl; folder = ssl.get_default_verify_paths().capath; \
      lost = [name for name in os.listdir(folder) if not os.path.exists(f"{folder}/{name}")]; \
      assert len(os.listdir(folder)) > 100 and not lost, f"authorities that lead nowhere: {lost}"'

FROM scratch
COPY --from=build /image /
LABEL org.opencontainers.image.title="sinal" \
      org.opencontainers.image.description="Server-side tracking for paid-traffic funnels" \
      dev.sinal.sbom="/opt/sinal/sbom.cdx.json"
ENV PATH=/opt/sinal/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SINAL_HOST=0.0.0.0
USER 65532:65532
WORKDIR /tmp
ENTRYPOINT ["sinal"]
