# The front door. `make demo` and `make test` each work as the first command on a fresh machine. What stands behind ##
# is what `make help` says.
.PHONY: all help deps build demo docs test test-long bench bench-rivals lint format install uninstall deb wheel \
	clean debug asan-ubsan tsan fuzz
PREFIX ?= /usr/local
all: build

help: ## this list
	@sed -n 's/^\([a-z][a-z -]*\):.* ## \(.*\)/\1\t\2/p' Makefile | awk -F'\t' '{printf "  make %-24s %s\n", $$1, $$2}'

deps: ## install what the build and the tests need (Debian, Ubuntu)
	@tools/deps

build: deps ## command, libraries and test programs, in build/
	@cmake --preset release >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build --preset release

demo: build ## from a model file to an endpoint with keys that recognizes handwritten digits
	@python3 examples/digits/demo.py build/sardonyx

docs: build ## the table of operators, versions and types; manual pages and completion scripts
	@cmake --build --preset release --target docs manuals && echo build/docs/operators.md build/share

# Others that tests ask; what cannot be had is skipped.
test: build ## every suite, plain and sanitized
	@tools/deps chromium librsvg2-bin podman runc catatonit skopeo umoci docker-registry strace valgrind zsh fish groff || true
	@cmake --preset asan-ubsan >build.log 2>&1 || { cat build.log; exit 1; }
	@cmake --build --preset asan-ubsan
	@python3 tools/run_tests.py

test-long: build ## more random cases, larger suites
	@python3 tools/run_tests.py --long

bench: build ## measure
	@python3 bench/run.py

bench-rivals: build ## compare with other engines: MODELS=... RIVALS="--threads 1,2 --json FILE --page docs"
	@python3 bench/rivals.py $(RIVALS) $(MODELS)

lint: deps ## layers, layout, house rules
	@tools/deps clang-format-14 || true
	@tools/check_layers
	@tools/lint

format: ## lay out the C files with clang-format 14
	@git ls-files '*.c' '*.h' '*.inl' | xargs $$(command -v clang-format-14 || command -v clang-format) -i

asan-ubsan tsan debug: deps ## the other builds, in build/<name>
	@cmake --preset $@ && cmake --build --preset $@

# SECONDS_EACH=60 make fuzz: each target in turn, new inputs are kept in build/fuzzing/found.
fuzz: deps ## hunt with every fuzz target for SECONDS_EACH=60 seconds
	@cmake --preset fuzz && cmake --build --preset fuzz
	@tools/fuzz

install: build ## command, libraries, headers, pkg-config and CMake files, under PREFIX=/usr/local
	@cmake --install build --prefix "$(PREFIX)"

uninstall: build ## take that away again, from the same PREFIX
	@tools/uninstall "$(PREFIX)"

deb: build ## a package for this Debian or Ubuntu, in build/packages
	@tools/deps dpkg-dev
	@cd build && cpack -B packages >packages.log && ls packages/*.deb || { cat packages.log; exit 1; }

wheel: ## the Python packages to hand out, in build/wheels
	@tools/wheel

clean: ## remove build/
	rm -rf build build.log
