# Everything sets itself up: the virtual environment is made once and again when
# pyproject.toml changes.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check site speed clean

demo: $(READY)  ## nasty meets KD and DAFL on the digits, then the pages
	$(BIN)/bench run --untuned --seeds 3 --defense nasty --attack kd --attack dafl \
		--track open --track 'data-free white-box'
	$(BIN)/bench site

test: $(READY)  ## the whole test suite
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: $(READY)  ## style and types, as in CI and before a commit
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

site: $(READY)  ## the pages from results/*.parquet
	$(BIN)/bench site

speed: $(READY)  ## ratios of a plain classical loop and the bench: ARGS='students'
	$(BIN)/python tests/speed/measure.py $(ARGS)

clean:  ## remove the environment and what tools left; results stay
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache site/build

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@
