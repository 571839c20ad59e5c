# Everything that a newcomer, a contributor and the CI run. `make help` lists it.

.DEFAULT_GOAL := help
.PHONY: help setup demo up fix check fast test chaos brokers gallery preview licenses release bench bench-render bucket

BIN := .venv/bin
CODE := api client shared tasks workers tests examples bench deploy

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/.stamp  ## Make the virtual environment in .venv, with the scenemill command

demo: setup  ## Render examples/reef.json through the whole stack, and say where the video is
	@$(BIN)/scenemill demo

up: setup  ## Keep the whole stack running until Ctrl-C: make up [PORT=8001] [FLOWER_PORT=5556] [VERBOSE=1]
	@$(BIN)/scenemill up $(if $(PORT),--port $(PORT)) $(if $(FLOWER_PORT),--flower-port $(FLOWER_PORT)) $(if $(VERBOSE),--verbose)

fix: setup  ## Put the code into shape
	$(BIN)/ruff check --fix $(wildcard $(CODE))
	$(BIN)/ruff format $(wildcard $(CODE))

check: setup  ## Lint, types, which room may import which, and that each imported package is declared
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry api shared tasks workers
	cd client && ../$(BIN)/deptry scenemill

fast: setup  ## The tests that need no server
	$(BIN)/pytest tests/unit -n 2 --dist loadfile -m "not services and not slow"

test: check  ## What the CI runs: check, and every test with real servers
	$(BIN)/pytest -n 2 --dist loadfile

# SEED and MINUTES: what the random schedule is drawn from, and how long it goes on.
SEED := 1
MINUTES := 10

chaos: setup  ## Kill, stop and starve the parts while jobs run: each fault, the mutants, ten minutes of all
	$(BIN)/pytest tests/e2e/test_faults.py tests/integration/stack
	$(BIN)/pytest -m chaos tests/chaos tests/e2e/test_rolling.py --seed $(SEED) --minutes $(MINUTES)

brokers: setup  ## The whole stack with RabbitMQ, and with Redis Sentinel, in place of a single Redis
	$(BIN)/pytest -m "not chaos" tests/e2e/test_brokers.py
	$(BIN)/pytest tests/e2e --ignore tests/e2e/test_brokers.py --broker rabbitmq
	$(BIN)/pytest tests/e2e --ignore tests/e2e/test_brokers.py --broker sentinel

bucket: setup  ## The whole stack with its files in S3, in place of a folder
	$(BIN)/pytest tests/e2e/test_main_job.py tests/e2e/test_templates.py tests/e2e/test_providers.py --storage bucket
	$(BIN)/pytest -m "chaos or not chaos" tests/chaos/test_bucket.py

# Newer than what it is made from: nothing to do. Touched but unchanged: the sums say so.
.venv/.stamp: requirements.lock pyproject.toml client/pyproject.toml client/VERSION
	@sums=$$(cat requirements.lock pyproject.toml client/pyproject.toml client/VERSION | cksum); \
	if [ -f $@ ] && [ "$$(cat $@)" = "$$sums" ] && $(BIN)/python -c ''; then touch $@; exit 0; fi; \
	set -e; \
	for name in $(PYTHON) python3.11 python3.12 python3.13 python3 python3.14 python; do \
	  if $$name -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    python=$$name; break; \
	  fi; \
	done; \
	if [ -z "$${python:-}" ]; then \
	  echo "Scenemill needs Python 3.11 or newer with its venv module, and found none." >&2; \
	  echo "Install one (Debian, Ubuntu: python3 and python3-venv), or name it: make setup PYTHON=/path/to/python3.11" >&2; \
	  exit 1; \
	fi; \
	echo "Installing into .venv with $$($$python --version). The first time takes a minute or two."; \
	$(BIN)/python -c '' 2>/dev/null || $$python -m venv --clear .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r requirements.lock; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation --editable ./client --editable .; \
	echo "$$sums" > $@

bench: bench-render bench-control  ## Run every bench

bench-render: setup  ## Race the renderer against one ffmpeg command and other programs; write docs/benchmarks.md
	$(BIN)/python -m bench.render

bench-control: setup  ## Measure how jobs are taken, handed out and ended; write docs/benchmarks-control.md
	$(BIN)/python -m bench.control

gallery: setup  ## Render the contact sheets of docs/gallery.md anew
	.venv/bin/python bench/gallery.py

preview: setup  ## Cut the README's looping preview from the video of make demo
	$(BIN)/python bench/preview.py

licenses: setup  ## Write THIRD_PARTY.md anew from the lock and the metadata of what is installed
	$(BIN)/python deploy/third_party.py

release: setup  ## Build and check the distributions in dist/, and say what to push
	$(BIN)/python deploy/release.py
