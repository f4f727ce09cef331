# Chartpost: `make help` lists everything. Needs Python 3.11 or newer with pip and venv; nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# One more than there are cores: many tests wait for a server.
WORKERS ?= $(shell echo $$(( $$(nproc 2>/dev/null || echo 2) + 1 )))
.DEFAULT_GOAL := help

help: ## List every command
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1mmake %-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo; echo "  KEEP=1 keeps the demo running; CHARTPOST_REQUIRE_SERVICES=1 makes a missing service a failure."

setup: $(STAMP) ## Make .venv with exactly what requirements.lock pins (uv, else plain pip)

$(STAMP): requirements.lock pyproject.toml
	@echo "setting up $(VENV) (once; well under a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/^[^ ]/{/^uv==/p;/^ .*--hash/p;}' requirements.lock > $(VENV)/uv.lock
	@{ $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock \
	   && $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock; } \
	 || $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q adapter mappings queues  # a process starts in half the time
	@touch $@

demo: $(STAMP) ## Run the main job end to end and tell its story (KEEP=1 stays up for a person)
	@$(BIN)/python -m chartpost.adapter.demo $(if $(KEEP),--keep)

test: $(STAMP) ## Run all tests, in parallel; missing services are skipped by name
	@$(BIN)/python -m pytest -rs -n $(WORKERS) --dist worksteal

lint: $(STAMP) ## Lint, format check, types and import contracts
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@mkdir -p build/types && ln -sfn ../.. build/types/chartpost
	@$(BIN)/mypy -p chartpost.adapter -p chartpost.mappings -p chartpost.queues
	@$(BIN)/lint-imports

format: $(STAMP) ## Format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format -q .

bench: $(STAMP) ## Measure the intake against the bare floor in the same run
	@$(BIN)/python tests/benchmarks/intake.py

bench-map: $(STAMP) ## Measure reading and mapping against the bare floor and other parsers in the same run
	@$(BIN)/python tests/benchmarks/mapping.py

pictures: $(STAMP) ## Remake the pictures in docs/ (needs Chromium)
	@$(BIN)/python docs/pictures.py

mapping: $(STAMP) ## Remake the tables of docs/mapping-dft-fhir.md from the shipped maps
	@$(BIN)/python docs/mapping.py

lock: $(STAMP) ## Resolve requirements.lock again (hashes, no host names)
	@$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group dev pyproject.toml -o requirements.lock

clean: ## Remove what the commands above made
	@rm -rf $(VENV) build chartpost-data .mypy_cache .ruff_cache .hypothesis

.PHONY: help setup demo test lint format bench bench-map pictures mapping lock clean
