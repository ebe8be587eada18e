# make demo    a virtual environment, voxcam in it, and out/demo.mp4
# make test    the whole test suite, with the rigs for sound, camera and browser
# make soak    the long tests: faults, drift, memory (SOAK_S=900)
# make fuzz    ten times as many generated cases
# make lint    style, types and the direction of imports

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOAK_S ?= 900
# No rigs and no clock in them: two at a time.
SIDE_BY_SIDE := tests/engines tests/train
TEST_EXTRAS := c2pa,camera,openvino,osc,tensorrt-rtx,train,bench,dev
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test soak fuzz lint clean

demo: $(VENV)/.demo
	$(BIN)/voxcam demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -rfEs -n 2 $(SIDE_BY_SIDE); side_by_side=$$?; \
	$(BIN)/python -m pytest -rfEs $(SIDE_BY_SIDE:%=--ignore=%) && exit $$side_by_side

soak: $(VENV)/.test
	VOXCAM_SOAK_S=$(SOAK_S) $(BIN)/python -m pytest -m soak

fuzz: $(VENV)/.test
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest tests/realtime tests/engines

lint: $(VENV)/.test
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy engines realtime bench train && $(BIN)/lint-imports

clean:
	rm -rf $(VENV) out build dist *.egg-info

$(VENV)/.made:
	PYTHON=$(PYTHON) sh .ci/system-packages python
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	sh .ci/system-packages rigs
	$(PIP) install --quiet --editable '.[$(TEST_EXTRAS)]'
	$(PIP) install --quiet pyaudio || echo "pyaudio cannot be built here: its tests skip"
	touch $(VENV)/.demo $@
