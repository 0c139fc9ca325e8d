# make run and make test need nothing but this folder, python3 and, for the Debian packages that they install, root.
SHELL := /bin/bash
export LAB_DIR := $(abspath $(or $(LAB_DIR),.lab))
PYTHON := .venv/bin/python
VERSION := $(shell sed -n 's/^version = //p' setup.cfg)
BUILDER = $(notdir $(firstword $(foreach each,podman buildah docker,$(shell command -v $(each))) podman))
UNIT := tests/domain tests/services tests/policies tests/ports tests/http tests/images tests/metadefs
.PHONY: help run install console test unit pythons check lint bench docs site dist image driver clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

install: ## .venv with the core, every driver and the test tools
	@tests/install.sh

console: ## build the console's pages, whatever was built before
	@tools/console.sh

run: install ## serve on 127.0.0.1:9292, data in .lab/run: SQLite, the file store, no other service
	@tests/run-server.sh

test: install ## every suite against real backends; SUITES="a b": only these; KEEP=1: leave the backends up
	@$(PYTHON) tests/run.py $(SUITES)

unit: install ## the rules and use cases alone, on fakes: seconds
	@PYTHONPATH=tests $(PYTHON) -m pytest -q -n auto $(UNIT)

pythons: install ## make unit and the API's tests on wheels, on Python 3.12 and 3.13; VERSIONS=3.12: on this one
	@$(PYTHON) tests/pythons.py --api $(VERSIONS)

check: install ## lint, and what needs no server and ends soon: two minutes
	@$(PYTHON) tests/run.py --check

lint: install ## ruff and its format, mypy, layers, shellcheck, generated files
	@$(PYTHON) tests/run.py ruff format mypy mypy-tests layers shell samples

bench: install ## side by side with the real Glance; QUICK=1: a short run
	@PYTHONPATH=tests $(PYTHON) tests/bench/bench.py $(if $(QUICK),--quick) $(BENCH)

docs: install ## sample configuration, sample policies and the OpenAPI document, from the code
	@$(PYTHON) docs/generate.py

site: ## the documents as a site in site/, offline; its links are checked
	@docs/site.sh site

dist: install console ## wheels and source distributions of the core and every driver in dist/, checked
	@$(PYTHON) tools/distributions.py

image: dist ## container image glancecore:VERSION, built by podman, buildah or docker; BASE=… DISTRIBUTIONS="…" PACKAGES="…": see its Containerfile
	@$(BUILDER) build $(if $(filter docker,$(BUILDER)),,--format docker) --file deploy/container/Containerfile --tag glancecore:$(VERSION) \
	  $(foreach each,BASE DISTRIBUTIONS PACKAGES,$(if $($(each)),--build-arg $(each)="$($(each))")) .

driver: ## NAME=store_file: build and test that driver alone, in a fresh environment
	@tests/driver-alone.sh $(NAME)

clean: ## stop the backends; remove .venv, .lab and build products
	@tests/backends/all-down.sh --purge
	@rm -rf .venv "$(LAB_DIR)" build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} + ; find . -maxdepth 4 -name '*.egg-info' -exec rm -rf {} +
