# make serve | make test | make install. Needs Python 3.11+, pip and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --disable-pip-version-check --quiet --constraint constraints.txt

.PHONY: install serve test check browser screenshots bench

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=/path/to/it")'
	@echo "Installing into .venv (about 1.9 GB to download, once)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(PIP) --editable '.[bundled]'
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing the test tools…"
	@$(PIP) --editable '.[bundled,dev]'
	@touch $@

serve: install
	@$(BIN)/assistant serve

test: .venv/installed-dev browser check
	@$(BIN)/python -m pytest --numprocesses=2 --dist=loadfile

check: .venv/installed-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The browser tests drive Debian's chromium, those of scans its tesseract; without them and without root they are skipped, and say so.
browser:
	@{ command -v chromium && command -v tesseract; } >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core tesseract-ocr >/dev/null; } || \
	  echo "chromium or tesseract is not installed and can't be installed here: the browser tests or those of scans will be skipped."

# Takes pictures of the app that `make serve` runs at the same time.
screenshots: .venv/installed-dev browser
	@mkdir -p docs artifacts
	@$(BIN)/python tests/tools/screenshot.py http://127.0.0.1:7860 artifacts
	@for name in 3-answer-laptop-light 3-answer-laptop-dark 4-source-phone-light 5-page-laptop-light 6-search-laptop-light \
	  7-documents-laptop-light 9-evaluation-laptop-light; do cp artifacts/$$name.png docs/$${name#*-}.png; done

bench: install
	@$(BIN)/python -m eval bench
