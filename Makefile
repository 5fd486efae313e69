# Every command of the project; `make` alone lists them.
#   make book PROFILE=grocery ARGS="-p data_root ~/data/GroceryStoreDataset"
#   make study PROFILE=demo SEEDS=5 METHODS="ce supcon hcl hcl_blocks ce_levels"
#   PROFILE  a file of profiles/ without its suffix; ARGS  papermill parameters on top of it
#   PYTHON   the Python 3.11 to 3.14 that .venv is made with; VENV  where the environment lives
#   FGCL_HOME  a folder for all that is made, where this one is read-only: make book FGCL_HOME=~/fgcl

# What the names of all that is made start with.
OUT     := $(if $(FGCL_HOME),$(abspath $(FGCL_HOME))/)
PYTHON  ?= $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11,$(shell $(p) -c $(IS_SUPPORTED) 2>/dev/null && echo $(p))))
VENV    ?= $(OUT).venv
PROFILE ?= demo
ARGS    ?=
SEEDS   ?= 5
METHODS ?=
NAME    ?= sweep
WORKERS ?= 2
PORT    ?= 8000

IS_SUPPORTED = 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'
BIN        = $(VENV)/bin
INSTALLED  = $(VENV)/.installed
INSTALLING = $(VENV)/.installing
BOOK       = $(OUT)_build/html/index.html
BUILT      = $(OUT)_build/html/.built
EXECUTED   = $(patsubst notebooks/%,$(OUT)executed/%,$(wildcard notebooks/0*.ipynb))
TRAININGS  = $(filter $(OUT)executed/01% $(OUT)executed/02% $(OUT)executed/03%,$(EXECUTED))
BENCHES    = bench-loss bench-explorer bench-projection bench-loader bench-scale bench-crash bench-heads bench-busy bench-naming
PACKAGE  := $(shell find fgcl_utils -type f -not -name '*.pyc')
PAGES    := $(shell find book results -type f -not -name '*.pyc' 2>/dev/null) _config.yml _toc.yml

# The recipes read these two from the environment, which spares them a second round of quoting.
export PROFILE ARGS
# The kernel is the one of $(VENV), whatever kernels the user has registered elsewhere.
export JUPYTER_PREFER_ENV_PATH = 1
unexport JUPYTER_PATH
# Paths and files are UTF-8, whatever LC_ALL says.
export PYTHONUTF8 = 1
ifneq ($(FGCL_HOME),)
  ifneq ($(words $(FGCL_HOME)),1)
    $(error FGCL_HOME="$(FGCL_HOME)" has blanks, which make cannot handle: choose another folder)
  endif
  override FGCL_HOME := $(OUT)
  export FGCL_HOME
endif

.DEFAULT_GOAL := help
# A notebook that failed would otherwise count as made, and the book would show its traceback.
.DELETE_ON_ERROR:
.PHONY: help .venv book study experiment run test lint lab serve bench $(BENCHES) reproduce \
        picture lock clean FORCE

help:  ## list these commands
	@sed -n 's/^\([a-z.-]*\):.*  ## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  make %-17s %s\n", $$1, $$2}'
	@echo "  options: PROFILE=$(PROFILE) ARGS=\"-p epochs 5\" PYTHON=python3.13 WORKERS=$(WORKERS) PORT=$(PORT)"

book: $(BUILT)  ## run the notebooks and build the book; the last line is its start page
	@echo "$(abspath $(BOOK))"

study: $(INSTALLED)  ## make the runs of PROFILE with SEEDS seeds and METHODS; the summary goes to results/
	@$(BIN)/python -m fgcl_utils.study profiles/$(PROFILE).yaml --seeds $(SEEDS) \
	  $(if $(METHODS),--methods $(METHODS)) $(ARGS)

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
	@test -f $(BUILT) || $(MAKE) book
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
	uv pip compile --universal --python-version 3.11 --extra book --extra export --extra test --extra bench pyproject.toml -o requirements.lock

clean:  ## remove what was built; finished runs (runs/), .cache and .venv stay
	cd $(or $(OUT),.) && rm -rf _build executed/*.ipynb executed/.made-* executed/.parameters

# --- the environment -------------------------------------------------------------------------

.venv: $(INSTALLED)  ## make the environment that the others need

# An environment that is already there (conda's: make VENV=$CONDA_PREFIX) is kept and completed.
# Where INSTALLING is left, an installation was killed: pip takes a package for installed whose RECORD,
# which it writes last, is missing, and `venv` may not have come to its end.
$(INSTALLED): requirements.lock pyproject.toml
	@test -x $(BIN)/python || "$(or $(PYTHON),false)" -c $(IS_SUPPORTED) || { \
	  echo "This project needs Python 3.11 to 3.14, found $$("$(or $(PYTHON),python3)" --version 2>&1)." \
	  "Name one: make PYTHON=/path/to/python3.13" >&2; exit 1; }
	@if [ -e $(INSTALLING) ]; then \
	  find $(VENV)/lib -path '*/site-packages/~*' -prune -exec rm -r {} + \
	    -o -name '*.dist-info' -prune ! -exec test -e {}/RECORD \; -exec rm -r {} + ; \
	  if [ -x $(BIN)/python ] && [ -e $(VENV)/pyvenv.cfg ]; then $(BIN)/python -m venv $(VENV); fi; fi
	@mkdir -p $(VENV) && touch $(INSTALLING)
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -c $(LINK_PACKAGE)
	@mkdir -p $(VENV)/etc/ipython
	@echo $(QUIET_KERNEL) > $(VENV)/etc/ipython/ipython_kernel_config.py
	@mv -f $(INSTALLING) $@

# What `pip install -e .` does, without writing into the checkout, and in bytes: a path with accents is
# another text in every locale.
LINK_PACKAGE = 'import os, sysconfig; \
  path = os.path.join(sysconfig.get_path("purelib"), "fgcl_utils.pth"); \
  line = "import os, sys; sys.path.append(os.fsdecode(%a))\n" % os.fsencode(os.getcwd()); \
  open(path, "w").write(line)'

# Every kernel warns that TCP is not encrypted (it is this machine's own, and messages are signed), and
# some call their shutdown an error. What matters reaches papermill.
QUIET_KERNEL = 'c.IPKernelApp.log_level = "CRITICAL"'

# --- from notebooks to the book --------------------------------------------------------------

# Execution is cheap to repeat: runs that are finished are loaded from runs/, not trained again.
# A notebook takes its name when it is whole: papermill saves it after every cell, and a killed one
# would count as made. Each has a name of its own aside, since a papermill may outlive its make.
# The training draws its bar on the terminal, since papermill's counts cells.
$(OUT)executed/%.ipynb: notebooks/%.ipynb profiles/$(PROFILE).yaml $(OUT)executed/.parameters $(PACKAGE) $(INSTALLED)
	@echo "$@"
	@mkdir -p $(OUT)_build/aside
	@aside=$(OUT)_build/aside/$$$$-$(@F); trap 'rm -f "$$aside"' EXIT; \
	FGCL_PROGRESS=$$(tty -s 0<&2 && tty 0<&2) $(BIN)/papermill --log-level WARNING --kernel python3 \
	  -f profiles/$(PROFILE).yaml $< "$$aside" $(ARGS) \
	&& sync "$$aside" && touch $(@D)/.made-$* && mv -f "$$aside" $@

# What comes later reads the runs of the three methods.
$(filter-out $(OUT)executed/00% $(TRAININGS),$(EXECUTED)): $(TRAININGS)

# Rewritten only when the profile or the parameters differ from the last time, or when somebody ran a
# notebook into executed/ by hand: its page would contradict the others.
$(OUT)executed/.parameters: FORCE
	@mkdir -p $(@D)
	@( printf '%s\n' "$$PROFILE $$ARGS" | cmp -s - $@ || exit 1; \
	  for page in $(@D)/0*.ipynb; do \
	    stamp="$(@D)/.made-$$(basename "$$page" .ipynb)"; \
	    if [ -e "$$stamp" ] && [ "$$page" -nt "$$stamp" ]; then exit 1; fi; \
	  done ) || printf '%s\n' "$$PROFILE $$ARGS" > $@

profiles/%.yaml:
	@echo "There is no $@. Profiles: $(basename $(notdir $(wildcard profiles/*.yaml)))" >&2; exit 1

# Jupyter Book reads pages below its settings only: they are linked to where executed/ is.
# BUILT: of a build that was killed, the start page may be there.
# --all: an incremental build leaves stale glued numbers on the pages that did not change.
$(BUILT): $(EXECUTED) $(PAGES) $(PACKAGE) $(INSTALLED)
	@$(if $(OUT),mkdir -p $(OUT)results && for page in _config.yml _toc.yml book $(wildcard results/*.json); do \
	  test -e $(OUT)$$page || ln -s "$(CURDIR)/$$page" $(OUT)$$page; done)
	$(BIN)/jupyter-book build $(or $(OUT),.) --all -W --keep-going --quiet
	@touch $@
