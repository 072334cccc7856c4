PYTHON ?=
BIN := .venv/bin
DATA ?= .sinal
ARGS ?=
SCHEDULES ?= 30
SEED ?= 1

.PHONY: cli-page demo up test tracker browser firefox lint types unit integration acceptance cluster cluster-assets chaos bench docs dashboards gitops monitoring manifests chart charts site lock matrix images e2e e2e-node clean help

USERS := demo up test clean help

help:            ## this list
	@awk -v users=' $(USERS) ' ' \
	  function folded(words,    all, found, line, place) { \
	    all = split(words, found, " "); \
	    for (place = 1; place <= all; place++) { \
	      if (length(line) + length(found[place]) > 60) { text = text line "\n" sprintf("%18s", ""); line = "" } \
	      line = line (line == "" ? "" : " ") found[place] } \
	    return line } \
	  /^[a-z0-9-]+:.*## / { \
	    name = substr($$1, 1, index($$1, ":") - 1); sub(/^.*## +/, ""); text = ""; rest = folded($$0); \
	    line = sprintf("  %-15s %s\n", name, text rest); \
	    if (index(users, " " name " ")) tries = tries line; else works = works line } \
	  END { printf "To try it and to use it:\n%s\nTo work on it:\n%s\n", tries, works }' $(MAKEFILE_LIST)
	@echo 'PYTHON=python3.13 chooses a Python, DATA=folder where `make up` keeps its data,'
	@echo 'ARGS=... what the program is told.'

.venv/run.stamp .venv/dev.stamp: FORCE
	@sh requirements/install.sh $(basename $(@F)) $(PYTHON)

FORCE:

demo: .venv/run.stamp  ## install, start everything, play a journey, say what became of each event (half a minute)
	$(BIN)/sinal demo $(ARGS)

up: .venv/run.stamp    ## install, start everything and leave it running
	$(BIN)/sinal up --file examples --data $(DATA) $(ARGS)

test: lint types unit integration acceptance  ## everything that needs Python only; CI runs browser as well

cli-page: .venv/dev.stamp  ## docs/users/cli.md, captured from a real run
	$(BIN)/python -m tests.support.cli_page

lint: .venv/dev.stamp  ## style, walls between rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: .venv/dev.stamp  ## mypy --strict
	$(BIN)/mypy

unit: .venv/dev.stamp  ## no sockets
	$(BIN)/pytest tests/unit -n 2 $(ARGS)

integration: .venv/dev.stamp  ## real PostgreSQL, NATS, Redis and sandbox as processes
	$(BIN)/pytest tests/integration tests/security -n 3 --dist loadfile $(ARGS)

acceptance: .venv/dev.stamp  ## the whole platform: up, demo, fairness, roles killed under load
	$(BIN)/pytest tests/acceptance tests/chaos --ignore tests/chaos/test_seeded_schedules.py -n 3 --dist loadfile $(ARGS)

chaos: .venv/dev.stamp  ## SCHEDULES=30 seeded schedules of kills and faults under load, from SEED=1 on
	SCHEDULES=$(SCHEDULES) SEED=$(SEED) $(BIN)/pytest tests/chaos/test_seeded_schedules.py -s $(ARGS)

monitoring: .venv/dev.stamp  ## alerts by promtool; dashboards by a real Prometheus over a running platform
	$(BIN)/pytest tests/monitoring -n 2 --dist loadfile $(ARGS)

tracker/node_modules/.stamp: tracker/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing: install Debian's nodejs and npm" >&2; exit 1; }
	npm --prefix tracker ci --ignore-scripts
	touch $@

tracker: tracker/node_modules/.stamp  ## build the page script s.js from tracker/src
	npm --prefix tracker run build

browser: .venv/dev.stamp tracker/node_modules/.stamp  ## the page script: its unit tests, then pages in a real Chromium
	npm --prefix tracker run types
	npm --prefix tracker test
	$(BIN)/pytest tests/browser -n 2 $(ARGS)

firefox: .venv/dev.stamp  ## what browsers differ in: leaving pages, forms, storage and cookies in a real Firefox
	SINAL_BROWSER=firefox $(BIN)/pytest -n 2 $(addprefix tests/browser/test_tracker_,delivery.py loses_no_visit.py visits.py) $(ARGS)

dashboards: .venv/dev.stamp  ## regenerate Grafana dashboards and Prometheus rules from dashboards/
	$(BIN)/python -m dashboards

gitops: .venv/dev.stamp  ## regenerate what Argo CD reads from gitops/argocd/health.lua
	$(BIN)/python -m gitops

docs: .venv/dev.stamp  ## regenerate the reference pages of settings, manifests, metrics and the API
	$(BIN)/python -m sinal_cli.reference docs

site: .venv/dev.stamp  ## a web site of docs/ in site/, with a search; a broken link fails it
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet $(ARGS)
	@echo "To read it: $(BIN)/python -m http.server --directory site 8000"

cluster: cluster-assets  ## the operator against a real API server, NATS and roles, all as processes
	$(BIN)/pytest tests/cluster -n 2 --dist loadfile $(ARGS)

charts: .venv/dev.stamp  ## the charts: what Helm makes of them (Helm: HELM, PATH, or built once from Go modules)
	$(BIN)/pytest tests/chart -n 2 $(ARGS)

cluster-assets: .venv/dev.stamp  ## etcd, kube-apiserver, Helm: given ones, or built once from Go modules (minutes)
	$(BIN)/python -m tests.cluster.support.assets

bench: .venv/dev.stamp  ## speed: programs over real services, and which goals they keep (about 20 minutes)
	$(BIN)/python bench/run.py $(ARGS)

manifests: .venv/dev.stamp  ## regenerate the CRDs from the models, and their chart
	$(BIN)/python -m sinal_crds.schema crds/manifests
	$(BIN)/python -m charts.generator

chart: .venv/dev.stamp  ## regenerate values, their schema and the README's table of the charts
	$(BIN)/python -m charts.generator

COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header --python-version 3.11

matrix: .venv/dev.stamp  ## a wheel for each package on each promised platform; demo and unit on each Python that is here
	$(BIN)/python -m requirements.matrix $(ARGS)

lock: .venv/dev.stamp  ## resolve dependencies anew: hashes, no addresses
	$(COMPILE) --all-extras pyproject.toml -o requirements/dev.lock
	$(COMPILE) --extra runtime --extra embedded --extra build -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	$(COMPILE) --extra runtime --extra operator --extra tracing --extra reports -c requirements/dev.lock pyproject.toml -o requirements/image.lock
	for name in image-tools services e2e; do \
	  $(COMPILE) -c requirements/dev.lock requirements/$$name.in -o requirements/$$name.lock || exit 1; done

e2e: .venv/dev.stamp  ## Sinal installed in a real cluster and used: a kind cluster (needs Docker, kind, Helm or Go)
	tests/e2e/on-kind.sh $(ARGS)

e2e-node: .venv/dev.stamp  ## the same on a single node of plain processes, without Docker; as root, MINICLUSTER= its tool
	tests/e2e/on-node.sh all $(ARGS)

DOCKER ?= docker
IMAGE ?= sinal
SANDBOX_IMAGE ?= sinal-sandbox
SERVICES_IMAGE ?= sinal-services
images:          ## container images with Docker or Podman (DOCKER=podman): IMAGE=sinal, SANDBOX_IMAGE=sinal-sandbox, SERVICES_IMAGE=sinal-services
	@command -v $(DOCKER) >/dev/null || { echo "$(DOCKER) is missing: install Docker, or Podman and say DOCKER=podman" >&2; exit 1; }
	$(DOCKER) build -f images/sinal.Dockerfile -t $(IMAGE) .
	$(DOCKER) build -f images/sandbox.Dockerfile --build-arg PRESENT=$(IMAGE) -t $(SANDBOX_IMAGE) .
	$(DOCKER) build -f images/services.Dockerfile -t $(SERVICES_IMAGE) .

clean:           ## delete the data of make up (DATA, .sinal); .venv stays, and make remakes it where it does not fit
	rm -rf $(DATA)
