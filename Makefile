# make dev: set up this checkout and run the local stack.   make test: run all tests.   make help: list all targets.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# Python caches bytecode: most of what a short process would do otherwise is to compile its imports.
unexport PYTHONDONTWRITEBYTECODE

# Tests on all cores, at most four of them.
PARALLEL = --numprocesses=auto --maxprocesses=4 --dist=worksteal

.PHONY: help setup clients client dev tail redeploy test test-unit test-integration test-infra test-client test-benchmarks test-e2e simulate chaos load check lint types imports format hooks bench contracts picture requirements clean

help: ## list the targets
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## / — /' | sort

setup: ## create .venv, .ministack and node_modules, if they are not up to date
	@$(PYTHON) local/maintenance/bootstrap.py

clients: setup
	@$(PYTHON) local/maintenance/bootstrap.py --clients

client: clients ## build client/dist: the npm package, and a single file for pages without a bundler
	@PATH="$$(cat .venv/node-path):$$PATH" npm --silent --prefix client run build

dev: setup ## run the local stack until Ctrl-C; ARGS="--port 4566 --rpc URL --seed 1 --quiet"
	@$(BIN)/chaincast dev $(ARGS)

tail: setup ## show events of the local stack; ARGS="--topic 'trades:*:*' --json"
	@$(BIN)/chaincast tail $(ARGS)

redeploy: setup ## deploy changed code to the running local stack
	@$(BIN)/chaincast redeploy $(ARGS)

test: setup ## run all tests, side by side; the output of each stage is in .build/tests
	@$(BIN)/python -m tests.run

test-unit: setup ## run the tests of pure code
	$(BIN)/pytest tests/unit $(PARALLEL) $(ARGS)

test-integration: setup ## run the tests of handlers, stores and the listener against moto
	$(BIN)/pytest tests/integration $(PARALLEL) $(ARGS)

test-infra: setup ## run the tests of the synthesized template
	$(BIN)/pytest tests/infra $(ARGS)

test-client: clients ## run the npm package's and the console's checks
	$(BIN)/pytest tests/client $(ARGS)

test-benchmarks: setup ## run every benchmark with --quick
	$(BIN)/pytest tests/benchmarks $(ARGS)

test-e2e: clients ## run the deployed template on MiniStack with a real node, real clients and IAM enforced
	$(BIN)/pytest tests/e2e $(ARGS)

simulate: setup ## run functions in random orders of their AWS calls; ARGS="--seed 7 --runs 1000"
	$(BIN)/python -m tests.interleavings $(ARGS)

chaos: setup ## run the chaos test, which takes about five minutes; ARGS="--seed 7"
	$(BIN)/python -m tests.chaos $(ARGS)

load: setup ## measure the local stack with many clients; ARGS="--clients 1000 --duration 60"
	$(BIN)/chaincast load $(ARGS)

check: lint types imports ## check style, types and imports

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports --no-cache

format: setup ## format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hooks: setup ## install git hooks: style on commit, types on push
	@$(BIN)/pre-commit install

bench: setup ## run the benchmarks (two need nginx-light and wrk); ARGS="--json"
	$(BIN)/python -m benchmarks.imports $(ARGS)
	$(BIN)/python -m benchmarks.planning $(ARGS)
	$(BIN)/python -m benchmarks.encoding $(ARGS)
	$(BIN)/python -m benchmarks.fuzzing $(ARGS)
	$(BIN)/python -m benchmarks.authentication $(ARGS)
	$(BIN)/python -m benchmarks.posting $(ARGS)
	$(BIN)/python -m benchmarks.fanout $(ARGS)
	$(BIN)/python -m benchmarks.decoding $(ARGS)
	$(BIN)/python -m benchmarks.backfill $(ARGS)
	$(BIN)/python -m benchmarks.lag $(ARGS)
	$(BIN)/python -m benchmarks.memory $(ARGS)
	$(BIN)/python -m benchmarks.market $(ARGS)
	$(BIN)/python -m benchmarks.latency $(ARGS)
	$(BIN)/python -m benchmarks.publishing $(ARGS)
	$(BIN)/python -m benchmarks.slow_clients $(ARGS)
	$(BIN)/python -m benchmarks.mass_resume $(ARGS)
	$(BIN)/python -m benchmarks.long_replay $(ARGS)
	$(BIN)/python -m benchmarks.coldstart $(ARGS)
	$(BIN)/python -m benchmarks.simulation $(ARGS)

contracts: setup ## compile contracts/*.sol
	node contracts/compile.mjs

picture: setup ## record docs/running.svg (needs tmux)
	$(BIN)/python -m local.maintenance.picture

requirements: setup ## compile requirements/*.txt from *.in
	$(BIN)/python -m local.maintenance.requirements

clean: ## remove everything that set-up and runs created
	rm -rf .venv .ministack .build node_modules console/node_modules console/dist client/node_modules client/dist tests/clients/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
