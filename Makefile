# Two commands: `make run` boots the machine, `make test` runs every check that must stay green.
# Both install what they need first; `make setup` does only that.

VENV := .venv
PYTHON := $(VENV)/bin/python

.PHONY: run test long-test setup format clean

run: $(VENV)/.ready
	@$(PYTHON) -m splax run

test: $(VENV)/.ready-test
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m basedpyright --level error
	$(PYTHON) -m pytest -q -n 2 --dist loadgroup

# The long regression, hours: pytest's marker `long` with new random numbers each time, both Debians' firmware, then
# 10 million instructions against QEMU (INSTRUCTIONS, SEED). Each line can be run alone.
INSTRUCTIONS := 10000000
SEED := 1000
long-test: $(VENV)/.ready-test
	$(PYTHON) -m pytest -q -m long --hypothesis-profile=search || [ $$? -eq 5 ]
	$(PYTHON) -m tests.firmware
	$(PYTHON) -m tests.lockstep --instructions $(INSTRUCTIONS) --seed $(SEED) --verbose

setup: $(VENV)/.ready
	@echo "Ready: $(VENV)/bin/splax --help"

format: $(VENV)/.ready-test
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

clean:
	rm -rf build

$(VENV)/.ready: pyproject.toml setup.sh
	sh setup.sh $(VENV)
	@touch $@

$(VENV)/.ready-test: pyproject.toml $(VENV)/.ready
	$(PYTHON) -m pip install --quiet --editable ".[test]"
	@touch $@
