# Each target does its own set-up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
SERVE ?= 1
DEMO ?= demo
BIN := .venv/bin
COMPILE := uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11
HAS_UV := command -v uv >/dev/null 2>&1
INSTALL = if $(HAS_UV); then set -- uv pip install --quiet --python $(BIN)/python; \
	else set -- $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile; fi; "$$@"
# Debian's packages, where this user may install them.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -n)
MAY_APT := command -v apt-get >/dev/null 2>&1 && $(SUDO) true 2>/dev/null
APT := $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

.PHONY: demo test test-all lint types layers tests tests-all notebooks browser bench-ingest bench-model bench-metrics bench-verdict lock clean

# The stamps are as new as the locks, so that a changed pin reinstalls.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "orchrisk needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.x." >&2; exit 1; }
	@if $(HAS_UV); then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv ; \
	else \
		$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(MAY_APT) && $(APT) python3-venv >/dev/null; } ; \
		$(PYTHON) -m venv .venv ; \
	fi
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/developed: .venv/installed requirements-dev.lock
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: .venv/installed
	$(BIN)/orchrisk demo $(DEMO) $(if $(filter 0,$(SERVE)),--no-serve,)

test: lint types layers tests notebooks

# Half an hour: simulations, kills, giant traces and long walks too, and how much of the code was run.
test-all: lint types layers tests-all notebooks

lint: .venv/developed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/developed
	$(BIN)/mypy

layers: .venv/developed
	$(BIN)/lint-imports

tests: .venv/developed browser
	$(BIN)/pytest -n 2 -m "not slow"

tests-all: .venv/developed browser
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

notebooks: .venv/developed
	$(BIN)/orchrisk demo build/notebooks --requests 900 --no-serve >/dev/null
	ORCHRISK_LAKE=$(CURDIR)/build/notebooks/lake $(BIN)/pytest -p no:randomly --nbmake --nbmake-timeout=300 notebooks

# SPANS, SPANS_NAIVE, SPANS_LONG, SPANS_LARGE (0 leaves the memory run out), ROUNDS are its settings.
bench-ingest: .venv/developed
	PYTHONPATH=$(CURDIR) $(BIN)/python tests/benchmarks/bench_ingest.py

# SPANS and ROUNDS are its settings.
bench-model: .venv/developed
	PYTHONPATH=$(CURDIR) $(BIN)/python tests/benchmarks/bench_model.py

# SPANS, CALLS, ROUNDS and ASKED (names of questions) are its settings.
bench-metrics: .venv/developed
	PYTHONPATH=$(CURDIR) $(BIN)/python tests/benchmarks/bench_metrics.py

# SPANS, CALLS and ROUNDS are its settings.
bench-verdict: .venv/developed
	PYTHONPATH=$(CURDIR) $(BIN)/python tests/benchmarks/bench_verdict.py

# Browser tests need Debian's Chromium; where it cannot be had they are skipped, and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || { $(MAY_APT) && $(APT) chromium >/dev/null; } || true
	@command -v chromium >/dev/null 2>&1 || [ -z "$$ORCHRISK_REQUIRE_BROWSER" ] || { echo "Chromium is required here and could not be installed." >&2; exit 1; }

lock:
	$(COMPILE) pyproject.toml --group build -o requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv build demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
