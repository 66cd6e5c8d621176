# make sweep   set up and run `harness sweep --trials 50` on the bundled digits
# make test    everything that must hold before a change lands
# make test-faults   sweeps that are killed, cut off and damaged (also -long)
# make test-full   all tests, with what takes too long for every change
# make test-fast, make check, make format: the inner loop
# make docs    write the tables in docs/ anew from what is registered
# make bench-setup   .venv-bench with the tools that benchmarks/ compares with

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRIALS ?= 50
# Tests run in two processes, file by file, in the order that tests/conftest.py gives them.
TWO := -n 2 --dist loadfile --no-loadscope-reorder
# They start hundreds of processes, each of which would else compile the package anew where this is set.
test test-full test-fast test-faults test-faults-long: export PYTHONDONTWRITEBYTECODE :=

.PHONY: sweep test test-faults test-faults-long test-full test-fast docs check format bench-setup clean

sweep: $(STAMP)
	@$(BIN)/harness sweep --trials $(TRIALS)

test: check
	$(BIN)/python -m pytest -q $(TWO) --durations=30

# Real sweeps whose processes, files and servers are killed, damaged and cut off; `-long`: many more moments.
# Two at a time, each handed out when another has ended: they take minutes and share nothing.
test-faults: $(STAMP)
	$(BIN)/python -m pytest -q -n 2 --maxschedchunk 1 --override-ini=addopts="-ra --strict-markers --strict-config -p no:schemathesis" \
	  --durations=30 tests/faults

test-faults-long: $(STAMP)
	HARNESS_FAULTS=long $(BIN)/python -m pytest -q \
	  --override-ini=addopts="-ra --strict-markers --strict-config -p no:schemathesis" --durations=0 tests/faults tests/tracking

test-full: check
	HARNESS_TESTS=full $(BIN)/python -m pytest -q $(TWO) --durations=30

test-fast: $(STAMP)
	$(BIN)/python -m pytest -q $(TWO) -m "not slow"

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/python -m tests.generated_docs

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Apart from .venv: the other tools must not decide which versions harness is developed with.
bench-setup:
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check \
	  -c constraints.txt -e . -r benchmarks/requirements.txt

# uv where there is one, else venv and pip; nothing happens while the stamp is newer than its inputs.
$(STAMP): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once; a few minutes)" >&2
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt \
	    -e '.[dev,pretrained,onnx,litert,serve,video,similar,postgres,ray]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	    -e '.[dev,pretrained,onnx,litert,serve,video,similar,postgres,ray]'; \
	fi
	@touch $(STAMP)

clean:
	rm -rf $(VENV) .venv-bench .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build
