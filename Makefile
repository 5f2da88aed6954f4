# Every target is a command you could type yourself. `make demo` and `make test` need only python3 (3.11+) with venv.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: setup compile test-compiled builds demo test long soak day load lab check bench golden rules compatibility contracts gas mutants conform cluster clean

setup: $(VENV)/.ready
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,lab]'
	touch $@

demo: setup     ## the main job: a signed chain, crash, replay, verification
	$(BIN)/chainperp demo

test: setup     ## the whole test suite; .ci/run calls exactly this
	$(MAKE) check
	$(MAKE) builds
	$(BIN)/python -m pytest -n 3 --dist worksteal

compile: setup  ## floors 0 to 4 as compiled modules, in build/compiled: about two minutes
	$(BIN)/python setup.py compile

# Absolute, because tests start processes in folders of their own.
COMPILED := PYTHONSAFEPATH=1 PYTHONPATH=$(CURDIR)/build/compiled:$(CURDIR)
TEST_COMPILED := $(COMPILED) $(BIN)/python -m pytest -n 3 --dist worksteal -o pythonpath="build/compiled ."
FLOORS_TESTED := tests/golden tests/rules tests/property tests/attacks $(addprefix tests/unit/,base model rules state transition evidence chain wire)

builds: setup   ## a quick compile, not optimised: the same bytes in both builds, and the floors' tests pass with the compiled modules
	$(BIN)/python setup.py compile quick
	$(BIN)/python -m tests.golden.builds
	if [ -d build/compiled ]; then $(TEST_COMPILED) $(FLOORS_TESTED); fi

test-compiled: compile  ## the whole test suite with the compiled modules: about twelve minutes, compiling included
	$(COMPILED) $(BIN)/python -m chainperp --version
	$(BIN)/python -m tests.golden.builds
	$(TEST_COMPILED)

long: setup     ## more seeds, deeper small worlds: about ten minutes
	CHAINPERP_LONG=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/property tests/simulation tests/evm

soak: setup     ## 200 rounds of kill -9 under load: about six minutes
	CHAINPERP_KILL_ROUNDS=200 $(BIN)/python -m pytest -s --timeout 1800 tests/simulation/test_node_kill.py

day: setup      ## 24 hours of 1,000 accounts: made, replayed and audited in about three minutes
	$(BIN)/python -m tests.simulation.day

load: setup     ## transactions a second through HTTP and websocket, clients included: about five minutes
	$(BIN)/python -m tests.load
	$(BIN)/python -m tests.load.stages

lab: setup      ## all studies into results/: about a minute of processor time
	$(BIN)/chainperp lab run all --jobs 2

check: setup    ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: setup    ## every stage against its budget, as ratios in one run
	$(BIN)/chainperp bench

golden: setup   ## regenerate the golden vectors and show what changed
	$(BIN)/python -m tests.golden.regenerate
	git diff --stat fixtures/golden

rules: setup    ## regenerate docs/rules.md
	$(BIN)/chainperp rules --markdown > docs/rules.md

compatibility: setup  ## regenerate docs/compatibility.md
	$(BIN)/python -c 'from chainperp.node.compatibility import markdown; print(markdown(), end="")' > docs/compatibility.md

contracts: setup  ## compile the contracts again; no difference must show
	$(BIN)/python -m contracts_py.compile
	git diff --stat contracts_py/artifacts

gas: setup      ## regenerate the gas table of docs/contracts.md
	$(BIN)/python -m tests.evm.gas

mutants: setup  ## take each guard out of the contracts; the test named for it must fail: about fifteen minutes
	CHAINPERP_MUTANTS=1 $(BIN)/python -m pytest -n 2 --timeout 0 tests/evm/test_mutants.py

conform: setup  ## independent implementations against our bytes; unmodified clients against a node
	CHAINPERP_CONFORM=1 $(BIN)/python -m pytest tests/conformance
	$(BIN)/python -m tests.conformance.clients --write docs/conformance.md

cluster: setup  ## replay on a Dask cluster of real processes, one of them killed
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[cluster]'
	CHAINPERP_CLUSTER=1 $(BIN)/python -m pytest tests/simulation/test_cluster.py

clean:
	rm -rf $(VENV) build *.egg-info
