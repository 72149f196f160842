# make demo   clips of the packaged model (runs/demo/first/index.html), then the whole path on the embedded corpus:
#             runs/demo/index.html and one model of all tasks, runs/demo/model
# make test   style, types and tests: one small case of each kind; the package encodec in an environment of its own
# make test-long   all tests: full matrices, long fuzzing, kills, wheels and the site as well
# make docs   the site of docs/, build/docs/index.html; a broken link ends it
# Each sets up .venv first; nothing is installed again until pyproject.toml or constraints.txt change.
#   PYTHON=python3.12          another interpreter (3.11 or newer)
#   TORCH_INDEX=<address>      PyTorch's own package index for a CPU-only or another CUDA build (docs/get-started.md)
PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/demo
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
# The package encodec brings a torchaudio that is linked to CUDA: beside it, not into it.
ENCODEC_VENV := $(VENV)-encodec
ENCODEC_STAMP := $(ENCODEC_VENV)/.installed

.PHONY: demo docs test test-long check test-encodec install clean

demo: install
	$(BIN)/videolm demo --out $(OUT)

docs: install
	$(BIN)/python -m sphinx -W --keep-going -q -c docs . build/docs
	@echo build/docs/index.html

test: check
	$(PYTEST) -m 'not long'
	@$(MAKE) --no-print-directory test-encodec

test-long: check
	VIDEOLM_FUZZ_CASES=1000 $(PYTEST)
	@$(MAKE) --no-print-directory test-encodec

check: install
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

test-encodec: install
	@if $(MAKE) --no-print-directory $(ENCODEC_STAMP) > $(VENV)/encodec.log 2>&1; \
	then $(ENCODEC_VENV)/bin/python -m pytest tests/tokenizers/audio/test_encodec_package.py; \
	else echo 'the package encodec cannot be installed here ($(VENV)/encodec.log says why): its tests are left out'; fi

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("videolm needs Python 3.11 or newer; set PYTHON=...") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(BIN)/python -m pip install -c constraints.txt --index-url $(TORCH_INDEX) torch)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	touch $(STAMP)

# Sees all that .venv has and adds encodec and what only that needs.
$(ENCODEC_STAMP): $(STAMP)
	$(BIN)/python -m venv --clear $(ENCODEC_VENV)
	$(BIN)/python -c 'import sysconfig; print("import site; site.addsitedir(%r)" % sysconfig.get_path("purelib"))' \
		> $$($(ENCODEC_VENV)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth
	$(ENCODEC_VENV)/bin/python -m pip install -c constraints.txt -e '.[encodec]'
	touch $(ENCODEC_STAMP)

clean:
	rm -rf $(VENV) $(ENCODEC_VENV) build dist *.egg-info
