# Every command of the project; `make` alone lists them.
#   make book PROFILE=grocery ARGS="-p data_root ~/data/GroceryStoreDataset"
#   make study PROFILE=demo SEEDS=5
#   PROFILE  a file of profiles/ without its suffix; ARGS  papermill parameters on top of it
#   PYTHON   the Python 3.11 or 3.12 that .venv is made with; VENV  where the environment lives

PYTHON  ?= $(firstword $(foreach p,python3 python3.12 python3.11,$(shell $(p) -c $(IS_SUPPORTED) 2>/dev/null && echo $(p))))
VENV    ?= .venv
PROFILE ?= demo
ARGS    ?=
SEEDS   ?= 5
NAME    ?= sweep
WORKERS ?= 2
PORT    ?= 8000

IS_SUPPORTED = 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))'
BIN       = $(VENV)/bin
INSTALLED = $(VENV)/.installed
BOOK      = _build/html/index.html
NOTEBOOKS = $(notdir $(wildcard notebooks/0*.ipynb))
EXECUTED  = $(addprefix executed/,$(NOTEBOOKS))
BENCHES   = bench-loss bench-explorer bench-projection bench-loader bench-scale bench-crash
PACKAGE  := $(shell find fgcl_utils -type f -not -name '*.pyc')
PAGES    := $(shell find book results -type f -not -name '*.pyc' 2>/dev/null) _config.yml _toc.yml

# The recipes read these two from the environment, which spares them a second round of quoting.
export PROFILE ARGS
# The kernel is the one of $(VENV), whatever kernels the user has registered elsewhere.
export JUPYTER_PREFER_ENV_PATH = 1
unexport JUPYTER_PATH

.DEFAULT_GOAL := help
# A notebook that failed would otherwise count as made, and the book would show its traceback.
.DELETE_ON_ERROR:
.PHONY: help .venv book study experiment run test lint lab serve bench $(BENCHES) reproduce \
        picture lock clean FORCE

help:  ## list these commands
	@sed -n 's/^\([a-z.-]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-17s %s\n", $$1, $$2}'
	@echo "  options: PROFILE=$(PROFILE) ARGS=\"-p epochs 5\" PYTHON=python3.12 WORKERS=$(WORKERS) PORT=$(PORT)"

book: $(BOOK)  ## run the notebooks and build the book; the last line is its start page
	@echo "$(abspath $(BOOK))"

study: $(INSTALLED)  ## run the three methods of PROFILE with SEEDS seeds; the summary goes to results/
	@$(BIN)/python -m fgcl_utils.study profiles/$(PROFILE).yaml --seeds $(SEEDS) $(ARGS)

experiment: $(INSTALLED)  ## run experiments/NAME.yaml, such as NAME=sweep, likewise
	@$(BIN)/python -m fgcl_utils.study experiments/$(NAME).yaml $(ARGS)

run: $(EXECUTED)  ## run the notebooks only, into executed/

test: $(INSTALLED)  ## run every test (installs a Chromium for them if there is none)
	@$(BIN)/python tests/chromium.py || $(BIN)/playwright install chromium \
	  || echo "No Chromium: the browser tests will fail and say how to install one." >&2
	$(BIN)/python -m pytest -n $(WORKERS)

lint: $(INSTALLED)  ## check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lab: $(INSTALLED)  ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. notebooks

serve: $(INSTALLED)  ## serve the built book on 127.0.0.1:8000
	@test -f $(BOOK) || $(MAKE) book
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(dir $(BOOK)) $(PORT)

bench: $(BENCHES)  ## repeat the recorded measurements in results/

$(BENCHES): bench-%: $(INSTALLED)
	$(BIN)/python benchmarks/$*.py $(ARGS)

reproduce: $(INSTALLED)  ## make a finished run again and compare: make reproduce RUN=runs/demo/hcl/seed-0
	@test -n "$(RUN)" || { echo "Name a finished run: make reproduce RUN=runs/demo/hcl/seed-0" >&2; exit 1; }
	$(BIN)/python -m fgcl_utils.train --reproduce "$(RUN)"

picture: $(INSTALLED)  ## renew the README's picture from the evaluation
	$(BIN)/python book/picture.py

lock:  ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras pyproject.toml -o requirements.lock

clean:  ## remove what was built; finished runs (runs/), .cache and .venv stay
	rm -rf _build executed/*.ipynb executed/.made-* executed/.parameters

# --- the environment -------------------------------------------------------------------------

.venv: $(INSTALLED)  ## make the environment that the others need

# An environment that is already there (conda's: make VENV=$CONDA_PREFIX) is kept and completed.
$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(or $(PYTHON),false) -c $(IS_SUPPORTED) || { \
	  echo "This project needs Python 3.11 or 3.12, found $$($(or $(PYTHON),python3) --version 2>&1)." \
	  "Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

# --- from notebooks to the book --------------------------------------------------------------

# Execution is cheap to repeat: runs that are finished are loaded from runs/, not trained again.
executed/%.ipynb: notebooks/%.ipynb profiles/$(PROFILE).yaml executed/.parameters $(PACKAGE) $(INSTALLED)
	@echo "$@"
	@$(BIN)/papermill --log-level WARNING --kernel python3 -f profiles/$(PROFILE).yaml $< $@ $(ARGS)
	@touch executed/.made-$*

# The evaluation reads the runs of the three methods.
executed/04_evaluation.ipynb: executed/01_ce_baseline.ipynb executed/02_supcon.ipynb executed/03_hcl.ipynb

# Rewritten only when the profile or the parameters differ from the last time, or when somebody ran a
# notebook into executed/ by hand: its page would contradict the others.
executed/.parameters: FORCE
	@mkdir -p $(@D)
	@( printf '%s\n' "$$PROFILE $$ARGS" | cmp -s - $@ || exit 1; \
	  for page in executed/0*.ipynb; do \
	    stamp="executed/.made-$$(basename "$$page" .ipynb)"; \
	    if [ -e "$$stamp" ] && [ "$$page" -nt "$$stamp" ]; then exit 1; fi; \
	  done ) || printf '%s\n' "$$PROFILE $$ARGS" > $@

profiles/%.yaml:
	@echo "There is no $@. Profiles: $(basename $(notdir $(wildcard profiles/*.yaml)))" >&2; exit 1

# --all: an incremental build leaves stale glued numbers on the pages that did not change.
$(BOOK): $(EXECUTED) $(PAGES) $(PACKAGE) $(INSTALLED)
	$(BIN)/jupyter-book build . --all -W --keep-going --quiet
	@touch $@
