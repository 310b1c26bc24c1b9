# make dev: set up this checkout and run the local stack.   make test: run all tests.   make help: list all targets.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

# Two targets at once, the output of each in one piece (which the make of macOS, 3.81, cannot).
SIDE_BY_SIDE = $(MAKE) --no-print-directory -j2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

# Tests on the real stack in three parts, for what runs beside them.
GUARDED = $(addprefix tests/e2e/test_,attacks.py least_privilege.py)
OPERATED = $(addprefix tests/e2e/test_,command_line.py crashes.py deploying.py own_node.py shards.py standby.py status.py torn_connections.py)

.PHONY: help setup clients client dev tail redeploy test test-unit test-client test-integration test-infra test-guard test-operated test-delivered test-e2e chaos load check lint types imports format hooks bench contracts picture requirements clean

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

test: clients ## everything
	@$(SIDE_BY_SIDE) check test-unit test-client
	@$(SIDE_BY_SIDE) test-integration test-guard
	@$(SIDE_BY_SIDE) test-operated test-delivered

test-unit: setup ## what decides, with nothing around it
	$(BIN)/pytest tests/unit $(ARGS)

test-client: clients ## the TypeScript package: types, its own tests, its size
	$(BIN)/pytest tests/client $(ARGS)

test-integration: setup ## handlers, stores and the listener against moto
	$(BIN)/pytest tests/integration $(ARGS)

test-infra: setup ## the synthesized template
	$(BIN)/pytest tests/infra $(ARGS)

test-guard: test-infra ## what keeps strangers out: on stacks of their own, so beside other tests
	$(BIN)/pytest $(GUARDED) $(ARGS)

test-operated: clients ## what is started, stopped, killed, changed and cut off while it runs
	$(BIN)/pytest $(OPERATED) $(ARGS)

test-delivered: clients ## what reaches whom, in every protocol
	$(BIN)/pytest tests/e2e $(addprefix --ignore=,$(GUARDED) $(OPERATED)) $(ARGS)

test-e2e: clients ## the deployed template on MiniStack, a real node, real clients, IAM enforced
	$(BIN)/pytest tests/e2e $(ARGS)

chaos: setup ## run the chaos test, which takes at most five minutes; ARGS="--seed 7"
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
