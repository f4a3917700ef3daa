# Every command people rely on; each installs what it needs first.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PY := .venv/bin/python
UV := .venv/bin/uv
PYTEST := $(PY) -m pytest
CODE := operator/src worker_image/src tests examples
MINUTES := 10
SEEDS := 500
SEED := 1
STORES :=

.PHONY: help setup demo demo-sql demo-down test unit integration e2e bench bench-full bench-jobs bench-memory bench-uploads bench-holes bench-versions bench-results campaign-exec campaign-outside campaign-queue campaign-results soak stores verify cluster-up cluster-down pins clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: .stamps/python .stamps/system ## install all that is needed; a second run does nothing

.stamps/system: tests/cluster/system-packages.txt $(wildcard tests/cluster/controlplane/*) tests/queues/pom.xml requirements/stores.txt $(wildcard requirements/data-dispatcher*.txt) .stamps/python
	tests/cluster/install-system.sh
	$(PY) -m tests.cluster build
	@touch $@

.stamps/python: requirements/dev.txt pyproject.toml worker_image/pyproject.toml
	tests/cluster/install-python.sh
	@mkdir -p .stamps && touch $@

demo: setup ## the whole main job on a real local cluster
	$(PY) -m examples.demo

demo-sql: setup ## its second act: volumes from a catalogue in SQL, results in SQL
	$(PY) -m examples.demo_sql

demo-down: ## stop the demo's cluster and leave nothing behind
	$(PY) -m tests.cluster down --name demo

cluster-up: setup ## a local cluster of one real node
	$(PY) -m tests.cluster up

cluster-down: ## stop it and leave nothing behind
	$(PY) -m tests.cluster down

test: unit integration e2e ## all tests

unit: setup ## pure code, a fake clock
	$(PYTEST) tests/unit -n 2

integration: setup ## a real API server and a real S3
	$(PYTEST) tests/integration -m "not alone" -n 4 --dist loadfile
	$(PYTEST) tests/integration -m alone

e2e: setup ## a real kubelet, real containers, helm
	$(PYTEST) tests/e2e

bench: setup ## tasks a second and what they cost, beside a native Job; calls of 500 workers, and from elsewhere
	$(PY) -m tests.scale.worker_calls
	$(PY) -m tests.scale.outside_calls
	$(PY) -m tests.scale.bench

bench-full: setup ## 38,836 volumes and 27,789 gated on them
	$(PY) -m tests.scale.full

bench-jobs: setup ## 50 Jobs of 20,000 volumes at once, and ten of 200,000 that have ended
	$(PY) -m tests.scale.many_jobs

bench-memory: setup ## the operator's memory beside that of another checkout: make bench-memory AGAINST=../then
	$(PY) -m tests.scale.two_builds --against $(AGAINST)

bench-uploads: setup ## a worker's memory and speed in uploads beside those of another checkout: AGAINST=../then
	$(PY) -m tests.scale.uploads --against $(AGAINST)

campaign-exec: setup ## random scripts through bec-worker exec against a real S3: SEEDS=500
	$(PY) -m tests.campaign --seeds $(SEEDS)

campaign-outside: setup ## workers from elsewhere on a road where all goes wrong: MINUTES=10 SEED=1
	$(PY) -m tests.campaign.outside --minutes $(MINUTES) --seed $(SEED)

bench-results: setup ## what results in a database cost, in five pairs
	$(PY) -m tests.scale.told_results

campaign-results: setup ## an operator that is killed 200 times while results are delivered
	$(PY) -m tests.campaign.result_kills

campaign-queue: setup ## an operator that is killed 200 times while messages of a queue come
	$(PY) -m tests.campaign.queue_kills

bench-holes: setup ## what one broken worker or node costs, beside another checkout: make bench-holes AGAINST=../then
	$(PY) -m tests.scale.black_hole --against $(AGAINST)

bench-versions: setup ## 38,836 volumes whose versions are found by ETags in S3
	$(PY) -m tests.scale.found_versions

soak: setup ## 50 Jobs that are meddled with, and an operator that is killed: MINUTES=10
	$(PY) -m tests.scale.soak --minutes $(MINUTES)

stores: setup ## the store and sweep suite on other S3 servers as well: make stores STORES="minio moto"
	$(PY) -m tests.stores $(STORES)

verify: setup ## regenerate, format, lint, type-check; fails if git sees a difference
	$(PY) -m bec_operator.api.crd crds
	$(PY) -m bec_operator.worker_api.openapi docs/worker-api.json
	$(PY) -m grpc_tools.protoc -Iworker_image/src --python_out=worker_image/src --pyi_out=worker_image/src bec_ops/contract/jobscheduler.proto
	$(PY) -m ruff format $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy
	.venv/bin/lint-imports
	git diff --exit-code

pins: ## resolve the requirements again
	requirements/pin.sh

clean: ## forget what setup did
	rm -rf .stamps .venv build
