# The front door. `make demo` and `make test` each work as the first command on a fresh machine.
.PHONY: all deps build demo docs test test-long bench lint format install clean debug asan-ubsan tsan fuzz
all: build

deps:
	@tools/deps

build: deps
	@cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build --preset release

demo: build
	@python3 examples/digits/demo.py build/sardonyx

docs: build
	@cmake --build --preset release --target docs && echo build/docs/operators.md

# Others that tests ask; what cannot be had is skipped.
test: build
	@tools/deps podman runc skopeo umoci docker-registry strace || true
	@cmake --preset asan-ubsan >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build --preset asan-ubsan
	@python3 tools/run_tests.py

test-long: build
	@python3 tools/run_tests.py --long

bench: build
	@python3 bench/run.py

lint: deps
	@tools/deps clang-format-14 || true
	@tools/check_layers
	@tools/lint

format:
	@git ls-files '*.c' '*.h' '*.inl' | xargs $$(command -v clang-format-14 || command -v clang-format) -i

asan-ubsan tsan debug: deps
	@cmake --preset $@ && cmake --build --preset $@

# SECONDS_EACH=60 make fuzz: each target in turn, new inputs are kept in build/fuzzing/found.
fuzz: deps
	@cmake --preset fuzz && cmake --build --preset fuzz
	@tools/fuzz

install: build
	@cmake --install build

clean:
	rm -rf build build.log
