# Everything a developer types. State lives in .venv, sandbox/.run and .airflow; nothing is written elsewhere.
.DEFAULT_GOAL := help
.PHONY: help setup demo stop clean test check format bench lock

BIN := .venv/bin
TEST_WORKERS ?= 3

# No dependency reports home, and importing Soda with telemetry on would take over Airflow's traces.
export SODA_CORE_TELEMETRY_ENABLED := false
export DO_NOT_TRACK := 1
export SCARF_NO_ANALYTICS := true

# Demo and tests start Python hundreds of times; without cached bytecode each start compiles Airflow anew.
unexport PYTHONDONTWRITEBYTECODE

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile

setup: ## create .venv with the pinned requirements (does nothing when it is up to date)
	@scripts/setup.sh

demo: setup ## start the sandbox and Airflow, run the job, show what happened, leave the UI up
	@$(BIN)/python -m sandbox.demo

stop: ## end what demo started; its data stays
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m sandbox.demo stop; fi

clean: stop ## stop, then delete the data of the sandbox and Airflow
	rm -rf sandbox/.run .airflow

test: setup ## run every test
	@$(BIN)/python -m pytest -q -n $(TEST_WORKERS)

check: setup ## run the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/mypy

format: setup ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## run the benchmarks, each writes its section of docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .bench -r requirements-bench.txt
	$(BIN)/python -m benchmarks extract
	$(BIN)/python -m benchmarks parse
	$(BIN)/python -m benchmarks check
	$(BIN)/python -m benchmarks gates
	$(BIN)/python -m benchmarks processor
	$(BIN)/python -m benchmarks views
	$(BIN)/python -m benchmarks alerting

lock: setup ## compile requirements*.in to requirements*.txt (set the pip or uv index in the environment)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header requirements-dev.in -o requirements-dev.txt
