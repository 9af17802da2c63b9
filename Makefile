# Each target does its own set-up: `make demo` and `make test` work in a fresh clone.
PYTHON ?= python3
SERVE ?= 1
DEMO ?= demo
BIN := .venv/bin
# Debian's packages, where this user may install them.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo -n)
MAY_APT := command -v apt-get >/dev/null 2>&1 && $(SUDO) true 2>/dev/null
APT := $(SUDO) apt-get update -qq && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq

.PHONY: demo test lint types layers tests notebooks browser lock clean

# The stamp is as new as the lock, so that a changed pin reinstalls.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "orchrisk needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=python3.x." >&2; exit 1; }
	@if command -v uv >/dev/null 2>&1; then \
		uv venv --quiet --allow-existing --python $(PYTHON) .venv && \
		uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock && \
		uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e . ; \
	else \
		$(MAY_APT) && ! $(PYTHON) -c 'import ensurepip' 2>/dev/null && $(APT) python3-venv >/dev/null ; \
		$(PYTHON) -m venv .venv && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock && \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $@

demo: .venv/installed
	$(BIN)/orchrisk demo $(DEMO) $(if $(filter 0,$(SERVE)),--no-serve,)

test: lint types layers tests notebooks

lint: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed
	$(BIN)/mypy

layers: .venv/installed
	$(BIN)/lint-imports

tests: .venv/installed browser
	$(BIN)/pytest -n 2 --cov --cov-report=term:skip-covered

notebooks: .venv/installed
	$(BIN)/pytest -p no:randomly --nbmake --nbmake-timeout=300 notebooks

# Browser tests need Debian's Chromium; where it cannot be had they are skipped, and say so.
browser:
	@command -v chromium >/dev/null 2>&1 || { $(MAY_APT) && $(APT) chromium >/dev/null; } || true
	@command -v chromium >/dev/null 2>&1 || [ -z "$$ORCHRISK_REQUIRE_BROWSER" ] || { echo "Chromium is required here and could not be installed." >&2; exit 1; }

lock:
	uv pip compile pyproject.toml --group dev --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements.lock

clean:
	rm -rf .venv demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
