# Two commands matter: `make run` and `make test`. What they do is in tools/dev.py (standard library only),
# which also works without make: python3 tools/dev.py run
PYTHON ?= python3
DEV = $(PYTHON) tools/dev.py

.PHONY: run test lint format bench bench-routing bench-fidelity chaos kills soak fuzz screenshots docs clean

run:  ## install into .venv and start Lynkr: the tray where there is a display, else `lynkr serve`
	@$(DEV) run $(ARGS)

test:  ## install what the tests need, check the code, run every test
	@$(DEV) test $(ARGS)

lint:  ## ruff, mypy, import contracts
	@$(DEV) lint

format:  ## put the code into its standard form
	@$(DEV) format

bench:  ## the proxy's overhead beside a bare pass-through
	@$(DEV) bench $(ARGS)

bench-routing:  ## how well requests are routed, beside routers that know nothing; ARGS="--json"
	@$(DEV) bench-routing $(ARGS)

bench-fidelity:  ## what shortening prompts saves, loses and costs; ARGS="--split tune --details"
	@$(DEV) bench-fidelity $(ARGS)

chaos:  ## 20,000 requests to upstreams that fail in every way, judged one by one; ARGS="--seed 7" repeats a run
	@$(DEV) chaos $(ARGS)

kills:  ## kill -9 of a real engine under load fifty times: nothing acknowledged is lost; ARGS=5 for fewer
	@$(DEV) kills $(ARGS)

soak:  ## 100,000 requests and 5,000 streams; whether memory, files, tasks and threads stay as they are
	@$(DEV) soak $(ARGS)

fuzz:  ## 100,000 mutated bodies for every codec, 5,000 for the engine; ARGS="--seed 7" repeats a run
	@$(DEV) fuzz $(ARGS)

screenshots:  ## draw the windows in light and dark into docs/pictures
	@$(DEV) screenshots

docs:  ## write the generated documents anew
	@$(DEV) docs

clean:
	rm -rf .venv .venv-* .test-env build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
