# The same words on a laptop and in CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# 500 modules: a second of each start where PYTHONDONTWRITEBYTECODE is set and nobody else compiles them.
COMPILE = $(BIN)/python -m compileall -q service/spanledger
COLLECTOR_VERSION := v0.161.0

# Tools of their own environment: they are no dependency of what they look at.
TOOLS := build/tools

.PHONY: docs quickstarts openapi demo dashboards pictures help install run test soak fmt lint types bench clickhouse collector clean lock sbom vulnerabilities references
help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 (>= 3.11) is needed: apt-get install python3 python3-venv python3-pip"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	$(COMPILE)
	@touch $@

$(VENV)/.dev: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

install: $(STAMP)  ## create .venv with the spanledger command

run: $(STAMP)      ## the whole system with a demo, until Ctrl-C
	$(BIN)/spanledger up --demo

# With Go the tests of the Collector run too; without it they are skipped and say so.
TEST_PARTS := $(if $(shell command -v go 2>/dev/null),build/collector/spanledger-collector)

demo: $(STAMP)     ## everything the platform does, with proof, on a system started for it
	$(BIN)/spanledger tour

# Each worker of the tests starts systems of its own, of about 1 GiB.
WORKERS ?= 2
test: $(VENV)/.dev $(TEST_PARTS) ## everything this machine can run, but the slow lane
	@$(COMPILE)
	$(BIN)/python -m pytest -m 'not slow' -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=40

soak: $(VENV)/.dev ## the slow lane: long property tests, crash and memory soaks
	$(BIN)/python -m pytest -m slow
	$(BIN)/python tests/pipeline/soak.py --cycles 200
	$(BIN)/spanledger bench soak --json

# One environment for each page of docs/quickstart whose packages the development environment does not have.
QUICKSTARTS := $(filter-out anthropic openai-base-url,$(basename $(notdir $(wildcard tests/quickstarts/requirements/*))))
QUICKSTARTS_BUILT := $(QUICKSTARTS:%=build/quickstarts/%/.installed)

quickstarts: $(VENV)/.dev $(QUICKSTARTS_BUILT) ## run each page of docs/quickstart with its framework
	$(BIN)/python -m pytest tests/quickstarts

build/quickstarts/%/.installed: tests/quickstarts/requirements/%.txt $(TOOLS)/.installed
	$(TOOLS)/bin/uv venv --quiet --clear --relocatable --python $(PYTHON) $(@D)
	$(TOOLS)/bin/uv pip install --quiet --python $(@D)/bin/python -r $<
	@touch $@

build/quickstarts/%/.installed: tests/quickstarts/requirements/%.json
	@mkdir -p $(@D) && cp $< $(@D)/package.json
	@if command -v npm >/dev/null; then cd $(@D) && npm install --no-audit --no-fund --loglevel=error && touch .installed; \
	else echo "no npm: $(@D) is not built, its page is skipped"; fi

fmt: $(VENV)/.dev  ## format
	$(BIN)/ruff format service tests dashboards tools
	$(BIN)/ruff check --fix service tests dashboards tools

lint: $(VENV)/.dev ## style and likely bugs
	$(BIN)/ruff format --check service tests dashboards tools
	$(BIN)/ruff check service tests dashboards tools

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

bench: $(STAMP)    ## the benchmarks, JSON on stdout
	$(BIN)/spanledger bench overhead --json
	$(BIN)/spanledger bench ledger --json
	$(BIN)/spanledger bench ingest --json
	$(BIN)/spanledger bench query --json

clickhouse:        ## a real ClickHouse server on loopback, until Ctrl-C (needs npm, no Docker)
	$(PYTHON) tools/clickhouse_server.py serve

collector: build/collector/spanledger-collector ## build the OpenTelemetry Collector (needs Go >= 1.26)

build/collector/spanledger-collector: collector/builder.yaml
	@command -v go >/dev/null || { echo "Go >= 1.26 is needed (https://go.dev/dl), or use the image of docker-compose.yml"; exit 1; }
	GOBIN=$(CURDIR)/build/bin GOFLAGS=-mod=mod go install go.opentelemetry.io/collector/cmd/builder@$(COLLECTOR_VERSION)
	GOFLAGS="-mod=mod -buildvcs=false" build/bin/builder --config collector/builder.yaml

dashboards: $(VENV)/.dev ## write dashboards/grafana from its generator
	cd dashboards && ../$(BIN)/python -m generator

openapi: $(VENV)/.dev ## renew the snapshot of the API's OpenAPI document, after a change that is meant
	$(BIN)/python tools/openapi.py > tests/api/openapi.json

references: $(VENV)/.dev ## write docs/reference from what defines settings, commands, API and schema
	$(BIN)/python tools/references.py

pictures: $(VENV)/.dev ## draw docs/dashboards and docs/console from demo data
	rm -rf build/dashboards
	mkdir -p build
	$(BIN)/python tests/dashboards/runs.py build/dashboards --traces 12000 --days 8 > build/dashboards.json
	$(BIN)/python tests/dashboards/overview.py build/dashboards.json docs/dashboards
	$(BIN)/python tests/web/pictures.py docs/console

$(TOOLS)/.installed: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9 cyclonedx-bom==7.5.0 pip-audit
	@touch $@

# The site's own environment: nothing of it is fetched at build time, fonts and scripts are the theme's files.
SITE := build/docs
$(SITE)/.installed: Makefile
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check \
		mkdocs==1.6.1 mkdocs-material==9.8.2 pymdown-extensions==13.1.2
	@touch $@

docs: $(SITE)/.installed ## build the site of the docs in build/site; a broken link or page stops it
	NO_MKDOCS_2_WARNING=1 $(SITE)/bin/python -m mkdocs build --quiet --strict
	@! grep -rlE '<(script|link|img)[^>]+(src|href)="https?:' build/site --include='*.html'

lock: $(TOOLS)/.installed ## write requirements.lock: every dependency with the hashes of its files
	$(TOOLS)/bin/uv pip compile pyproject.toml --all-extras -c constraints.txt --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --quiet -o requirements.lock

# The version stands in service/spanledger/__init__.py alone.
dist: $(TOOLS)/.installed ## build wheel and sdist in dist/, and install the wheel in an empty environment with hashes
	rm -rf dist build/dist
	$(TOOLS)/bin/uv build --quiet --build-constraints constraints.txt --out-dir dist
	$(TOOLS)/bin/uv venv --quiet --python $(PYTHON) build/dist
	$(TOOLS)/bin/uv pip compile pyproject.toml -c constraints.txt --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --quiet -o build/dist/requirements.lock
	$(TOOLS)/bin/uv pip install --quiet --python build/dist/bin/python --require-hashes -r build/dist/requirements.lock
	$(TOOLS)/bin/uv pip install --quiet --python build/dist/bin/python --no-deps dist/*.whl
	build/dist/bin/python tools/check_dist.py

sbom: $(STAMP) $(TOOLS)/.installed ## write build/sbom.cdx.json (CycloneDX) of what is installed
	$(TOOLS)/bin/python -m cyclonedx_py environment $(BIN)/python --output-reproducible --of JSON -o build/sbom.cdx.json

vulnerabilities: $(TOOLS)/.installed ## known vulnerabilities of requirements.lock, where a database is in reach
	$(TOOLS)/bin/python -m pip_audit --require-hashes --disable-pip -r requirements.lock

clean:             ## remove what was built (not the data in .spanledger)
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache
