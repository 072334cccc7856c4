# What answers in Meta's place where Sinal is tried or tested, never in production: `python -m sinal_sandbox`.
#
# It is a layer over the image `sinal`, which has all that it imports and not itself. See docs/operators/images.md.
ARG PRESENT=localhost/sinal:1
FROM ${PRESENT}
COPY runtime/sinal_sandbox /opt/sandbox/sinal_sandbox
LABEL org.opencontainers.image.title="sinal-sandbox" \
      org.opencontainers.image.description="Emulator of the Meta Graph API for trying Sinal; not for production"
ENV PYTHONPATH=/opt/sandbox
USER 65532:65532
WORKDIR /tmp
# Whatever it imports is there, and this user can read it.
RUN ["python", "-m", "sinal_sandbox", "--help"]
ENTRYPOINT ["python", "-m", "sinal_sandbox"]
CMD ["--host", "0.0.0.0"]
