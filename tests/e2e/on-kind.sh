#!/usr/bin/env bash
# The end-to-end tier on kind: makes the cluster `sinal-e2e`, tests, deletes it. ARGS go to pytest.
#
#   KEEP=1     leave the cluster when the tests have ended
#   TRAEFIK    image of the ingress controller
set -euo pipefail
cd "$(dirname "$0")/../.."
for program in docker kind; do
	command -v "$program" >/dev/null || { echo "on-kind: $program is missing" >&2 && exit 1; }
done
traefik=${TRAEFIK:-traefik:v3.6}
docker build -q -f images/sinal.Dockerfile -t localhost/sinal:1 .
docker build -q -f images/sandbox.Dockerfile -t localhost/sinal-sandbox:1 .
[ -n "${SINAL_E2E_PREVIOUS_IMAGE:-}" ] || docker build -q -t localhost/sinal-previous:1 tests/e2e/previous
docker build -q -f images/services.Dockerfile -t localhost/sinal-services:1 .
docker pull -q "$traefik"
kubeconfig=$(mktemp)
kind create cluster --config tests/e2e/kind.yaml --kubeconfig "$kubeconfig" --wait 120s
# From here on the cluster is this run's own: one of that name that somebody works in makes `create` fail, and stays.
end() {
	if [ -n "${KEEP:-}" ]; then
		echo "on-kind: the cluster stays; its kubeconfig is $kubeconfig" >&2
	else
		kind delete cluster --name sinal-e2e
		rm -f "$kubeconfig"
	fi
}
trap end EXIT
SINAL_E2E_KUBECONFIG=$kubeconfig SINAL_E2E_ADDRESS=127.0.0.1 SINAL_E2E_TRAEFIK_IMAGE=$traefik \
	SINAL_E2E_LOAD="kind load docker-image --name sinal-e2e" .venv/bin/pytest tests/e2e "$@"
