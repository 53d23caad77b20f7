# Everything a person needs, each with its own set-up in .venv. A second run is quick.
#
#   make demo    two sample clips to a complete grid, a 4D scene, a movie and the page to fly through it
#   make world   the same from a procedural world with exact depth, without any network
#   make test    the test suite (under 6 minutes on 2 cores after set-up)
#   make check   formatting, lint, types
#   make slow    the tests that take minutes (full-size parity)
#   make bench   every benchmark, quick settings
#
# Without an NVIDIA driver the CPU build of PyTorch is taken (scripts/install_torch.sh). Another index of builds:
# make demo TORCH_INDEX=https://...

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
TORCH := $(shell sed -n 's/^\(torch==.*\)$$/\1/p' constraints.txt)
DEMO ?= out/demo
WORLD ?= out/world
JOBS ?= 2

.PHONY: demo world test check slow bench clean

demo: $(VENV)/.package
	$(BIN)/fourreal run --sample --out $(DEMO)

world: $(VENV)/.package
	$(BIN)/fourreal synth --out $(WORLD) --seed 16 --background walls --overwrite
	$(BIN)/fourreal page $(WORLD)/scene --out $(WORLD)/scene.html --max-mb 24
	$(BIN)/fourreal movie $(WORLD)/scene --out $(WORLD)/bullet_time.mp4
	@echo "Look at $(WORLD)/contact.png and $(WORLD)/bullet_time.mp4, and fly through $(WORLD)/scene.html in a browser."

# Two workers of one thread each: twice as quick on two cores as one worker whose threads get in each other's way.
test: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist loadfile --durations=10

slow: $(VENV)/.development
	$(BIN)/python -m pytest -m slow --durations=3

check: $(VENV)/.development
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright

bench: $(VENV)/.development
	for script in benchmarks/*.py; do $(BIN)/python $$script --quick || exit 1; done

# torch goes first and alone: asked for by another package, pip would take the newest CUDA build.
$(VENV)/.torch: constraints.txt scripts/install_torch.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fourreal needs Python 3.11 or newer; say which with make PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@bash scripts/install_torch.sh $(BIN)/python $(TORCH) $(TORCH_INDEX)
	@touch $@

$(VENV)/.package: $(VENV)/.torch pyproject.toml
	@echo "fourreal and what it needs (about a minute)"
	@$(PIP) install -qq --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.development: $(VENV)/.package
	@echo "what the tests need (about a minute)"
	@$(PIP) install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) out build dist *.egg-info
