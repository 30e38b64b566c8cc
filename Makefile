# chaind: the commands of a working day.
#
#   make run        install what is missing, build for release, serve a node on 127.0.0.1:8000
#                   (make run ARGS="--port 9000 --data-dir /var/lib/chaind" sets it up otherwise)
#   make test       install what is missing, build, and pass the tests
#   make test-long  kill a node under load many more times (make test-long ROUNDS=1000)
#   make bench      measure the ratios that this project promises (make bench ARGS="--blocks 100000" for less)
#   make format     format the sources
#   make lint       check the format

ARGS ?=
ROUNDS ?= 300
SOURCES := Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Benchmarks/Suites
# Root installs packages itself, everyone else through sudo.
APT_GET := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get

.PHONY: run test test-long bench format lint libraries release

run: release
	exec .build/release/chaind serve --log-level notice $(ARGS)

# One test after the other: many watch how long a node takes, and each of them runs one.
test: libraries
	swift build --build-tests
	swift test --skip-build --no-parallel

test-long: libraries
	CHAIND_TEST_KILL_ROUNDS=$(ROUNDS) swift test --filter KillTests

bench: release
	swift run --package-path Benchmarks --configuration release ratios --chaind .build/release/chaind $(ARGS)

format:
	swift format --in-place --recursive $(SOURCES)

lint:
	swift format lint --strict --recursive $(SOURCES)

release: libraries
	swift build --configuration release --product chaind

# OpenSSL and SQLite, with the headers.
libraries:
	@command -v swift >/dev/null || { echo "Swift 6.2 or later is needed: https://www.swift.org/install/" >&2; exit 1; }
	@pkg-config --exists libcrypto sqlite3 2>/dev/null || { $(APT_GET) update && \
		$(APT_GET) install --yes --no-install-recommends pkg-config libssl-dev libsqlite3-dev; }
