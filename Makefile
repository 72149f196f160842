# make demo   the whole path on the embedded corpus: runs/demo/index.html
# make test   style check and tests
# Both set up .venv first; nothing is installed again until pyproject.toml or constraints.txt change.
#   PYTHON=python3.12          another interpreter (3.11 or newer)
#   TORCH_INDEX=<address>      PyTorch's own package index for a CPU-only or another CUDA build (see README)
PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/demo
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test install clean

demo: install
	$(BIN)/videolm demo --out $(OUT)

test: install
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("videolm needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build dist *.egg-info
