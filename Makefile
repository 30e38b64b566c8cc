# chaind: the commands of a working day.
#
#   make run        install what is missing, build for release, serve a node on 127.0.0.1:8000
#                   (make run ARGS="--port 9000 --data-dir /var/lib/chaind" sets it up otherwise)
#   make group      build, and serve a group of three nodes on 127.0.0.1:8000 to 8002, with their data in ./group
#   make group-etcd install etcd if it is missing, and serve such a group whose order comes from three members of etcd on
#                   127.0.0.1:2379, 2389 and 2399, with all their data in ./group-etcd
#   make demo       play the story of a group in a minute: nodes are killed, parted and joined, and agree
#   make demo-etcd  play the story of a group with etcd: its leader is killed and frozen, etcd loses its majority
#   make test       install what is missing, build, and pass the tests
#   make test-long  kill a node under load many more times, play many more histories of groups, and have a browser, a
#                   fuzzer and Prometheus look at nodes, which it installs, and give what parses
#                   more random input (make test-long ROUNDS=1000 SEEDS=10000)
#   make torture    play histories of groups with an engine: real nodes, a real etcd, and everything going wrong under load
#                   (make torture HISTORIES=1000 FIRST=1)
#   make simulation play histories of groups only, in a release build (make simulation SEEDS=10000)
#   make fuzz       give what parses to libFuzzer, each target for a while, in an instrumented build of its own
#                   (make fuzz SECONDS=600 TARGET="streams runs"; make fuzz TARGET=runs INPUT=FILE tries one input again)
#   make bench      install what this project is compared with, measure what it promises, and write the results into
#                   docs/performance (make bench QUICK=1 for a moment of everything, into .build/performance;
#                   ONLY="verify group" for parts)
#   make docs       build the documentation of the library, into .build/docs
#   make examples   build the examples of the library, and try them
#   make deb        build the Debian package, into .build/package
#   make test-deb   build it twice, and install, run, upgrade and remove it in a fresh Debian (as root, or by sudo)
#   make format     format the sources
#   make lint       check the format

ARGS ?=
ROUNDS ?= 300
# The histories after those that `make test` plays.
FIRST ?= 101
SEEDS ?= 2000
GROUP_ROUNDS ?= 20
FUZZ_ROUNDS ?= 60000
HISTORIES ?= 200
TARGET ?= appends texts lines member-files events streams runs batches forwarded-appends messages etcd
SECONDS ?= 60
SOURCES := Package.swift Sources Tests Benchmarks/Package.swift Benchmarks/Sources Benchmarks/Suites Examples/Package.swift Examples/Sources
# Root installs packages itself, everyone else through sudo.
APT_GET := $(if $(filter 0,$(shell id -u)),,sudo) env DEBIAN_FRONTEND=noninteractive apt-get

# A pipe fails where any of its commands does; whoever reads only the end of a long run is told there what failed.
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
TOLD = 2>&1 | { mkdir -p .build; tee .build/test.log; } || { echo "What failed:"; grep -E '^(✘|↳)' .build/test.log; exit 1; }

.PHONY: run group group-etcd demo demo-etcd \
	test test-long torture simulation fuzz bench docs examples deb test-deb format lint libraries release test-tools packaging-tools baselines

run: release
	exec .build/release/chaind serve $(ARGS)

# Ctrl-C reaches the nodes as well as the shell, which waits until they have stopped in order.
group: release
	@mkdir -p group; nodes=; trap 'kill $$nodes' INT TERM; \
	for port in 8000 8001 8002; do \
		.build/release/chaind serve --port $$port --data-dir group/$$port \
			--sync-file group/sync.json $(ARGS) & nodes="$$nodes $$!"; \
	done; \
	echo "Three nodes: http://localhost:8000 http://localhost:8001 http://localhost:8002 (Ctrl-C stops them)"; \
	echo "Append: curl http://localhost:8000/blocks/ --json '{\"data\": \"hello\"}'  Members: curl http://localhost:8001/sync/"; \
	wait; wait

# Ctrl-C does not reach etcd's members: nodes that stop give up their places there, so it ends after them.
group-etcd: release test-tools
	@mkdir -p group-etcd; members=; nodes=; trap 'kill $$members; exit 1' INT TERM; \
	for index in 0 1 2; do \
		clients=http://127.0.0.1:$$((2379 + 10 * index)); peers=http://127.0.0.1:$$((2380 + 10 * index)); \
		setsid etcd --name etcd$$index --data-dir group-etcd/etcd$$index --listen-client-urls $$clients \
			--advertise-client-urls $$clients --listen-peer-urls $$peers --initial-advertise-peer-urls $$peers \
			--initial-cluster etcd0=http://127.0.0.1:2380,etcd1=http://127.0.0.1:2390,etcd2=http://127.0.0.1:2400 \
			--logger zap --log-level error & members="$$members $$!"; \
	done; \
	sleep 2; \
	for member in $$members; do \
		kill -0 $$member 2>/dev/null || { echo "etcd did not start" >&2; kill $$members; wait; exit 1; }; \
	done; \
	trap 'kill $$nodes' INT TERM; \
	for port in 8000 8001 8002; do \
		.build/release/chaind serve --port $$port --data-dir group-etcd/$$port \
			--sync-file group-etcd/sync.json \
			--etcd http://127.0.0.1:2379,http://127.0.0.1:2389,http://127.0.0.1:2399 $(ARGS) & nodes="$$nodes $$!"; \
	done; \
	echo "Three nodes: http://localhost:8000 http://localhost:8001 http://localhost:8002 (Ctrl-C stops them and etcd)"; \
	echo "Append: curl http://localhost:8000/blocks/ --json '{\"data\": \"hello\"}'  Members: curl http://localhost:8001/sync/"; \
	echo "Read all that was answered before: curl 'http://localhost:8002/blocks/head?consistency=linearizable'"; \
	wait $$nodes; wait $$nodes; kill $$members; wait

demo: release
	swift run --configuration release demo

demo-etcd: release test-tools
	swift run --configuration release demo etcd

# One test after the other: many watch how long a node takes, and each of them runs one.
test: libraries test-tools
	swift build --build-tests
	swift test --skip-build --no-parallel $(TOLD)

test-long: TEST_TOOLS += chromium:chromium python3:python3 /usr/share/doc/python3-venv:python3-venv prometheus:prometheus \
	curl:curl jq:jq perl:perl /usr/sbin/nginx:nginx-light
test-long: libraries test-tools
	CHAIND_TEST_OUTSIDE=1 CHAIND_TEST_FLOOD_CONNECTIONS=10000 CHAIND_FUZZ_ROUNDS=$(FUZZ_ROUNDS) CHAIND_TEST_KILL_ROUNDS=$(ROUNDS) CHAIND_SIMULATION_FIRST=$(FIRST) CHAIND_SIMULATION_SEEDS=$(SEEDS) \
		CHAIND_CONSENSUS_SIMULATION_FIRST=$(FIRST) CHAIND_CONSENSUS_SIMULATION_SEEDS=$(SEEDS) \
		CHAIND_TEST_GROUP_ROUNDS=$(GROUP_ROUNDS) CHAIND_TEST_DAMAGE_ROUNDS=$(ROUNDS) \
		swift test --no-parallel --filter 'KillTests|SimulationTests|GroupFaultTests|GroupDamageTests|GateTests.aFlood|FuzzTests|OutsideTests' $(TOLD)

# In a debug build, which is there already and finds more: what is slow is what breaks.
torture: FIRST = 1
torture: libraries test-tools
	CHAIND_TORTURE_HISTORIES=$(HISTORIES) CHAIND_TORTURE_FIRST=$(FIRST) \
		swift test --no-parallel --filter ConsensusTortureTests $(TOLD)

# Many more histories, in a release build of its own: about twice as fast, and slow to build.
simulation: libraries
	CHAIND_SIMULATION_FIRST=$(FIRST) CHAIND_SIMULATION_SEEDS=$(SEEDS) \
		CHAIND_CONSENSUS_SIMULATION_FIRST=$(FIRST) CHAIND_CONSENSUS_SIMULATION_SEEDS=$(SEEDS) \
		swift test --configuration release --scratch-path .build/simulation -Xswiftc -enable-testing \
		--filter SimulationTests.histories

# libFuzzer without its main function is in the compiler's own libraries, and needs those of C++. A test looks it up by name.
FUZZ_ARCHIVE = $(shell swiftc -print-target-info | sed -n 's/.*"runtimeResourcePath": "\(.*\)".*/\1/p')/clang/lib/linux/libclang_rt.fuzzer_no_main-$(shell uname -m).a
FUZZ_FLAGS = -Xswiftc -Xfrontend -Xswiftc -sanitize=fuzzer $(foreach flag,$(FUZZ_ARCHIVE) -lstdc++ -lm \
	-u LLVMFuzzerRunDriver --export-dynamic-symbol=LLVMFuzzerRunDriver,-Xlinker $(flag))

# A handler for backtraces would keep the trap from libFuzzer, which saves the input; with one input, the backtrace is wanted.
fuzz: libraries
	swift build --build-tests --scratch-path .build/fuzz $(FUZZ_FLAGS)
	for target in $(TARGET); do \
		corpus=.build/fuzz/corpus/$$target; mkdir -p $$corpus; \
		SWIFT_BACKTRACE=enable=$(if $(INPUT),yes,no) CHAIND_FUZZ_TARGET=$$target CHAIND_FUZZ_CORPUS=$$corpus \
			CHAIND_FUZZ_ARGUMENTS="$(or $(INPUT),$$corpus -max_total_time=$(SECONDS) -max_len=4096 -timeout=10 -print_final_stats=1 -artifact_prefix=.build/fuzz/$$target-)" \
			.build/fuzz/debug/chaindPackageTests.xctest --testing-library swift-testing --filter LibFuzzerTests || exit 1; \
	done

bench: release baselines
	swift run --package-path Benchmarks --configuration release ratios --chaind .build/release/chaind \
		$(if $(QUICK),--quick --output .build/performance,--output docs/performance) $(if $(ONLY),--only $(ONLY))

# What a compiler needs to import the library without the package manager.
IMPORT_CHAIN := -I .build/debug/Modules -Xcc -fmodule-map-file=Sources/CSystemLibs/module.modulemap \
	-Xcc -fmodule-map-file=.build/debug/CLanes.build/module.modulemap
DOCC := Sources/Chain/Chain.docc

# The symbols come from the library as it was built for the tests, and each step of the tutorial compiles.
docs: libraries
	swift build --target Chain
	for step in $(DOCC)/Resources/AuditLog-[0-9].swift; do \
		swiftc -typecheck -swift-version 6 -warnings-as-errors $(IMPORT_CHAIN) $$step || exit 1; \
	done
	mkdir -p .build/symbols
	swift symbolgraph-extract -module-name Chain $(IMPORT_CHAIN) -minimum-access-level public -skip-synthesized-members \
		-target $$(swift -print-target-info | sed -n 's/.*"unversionedTriple": "\(.*\)",/\1/p') -output-dir .build/symbols
	docc convert $(DOCC) --additional-symbol-graph-dir .build/symbols --output-path .build/docs \
		--fallback-default-module-kind Library --warnings-as-errors
	@echo "To read it: python3 -m http.server --directory .build/docs, and http://localhost:8000/documentation/chain"

examples: libraries
	swift build --package-path Examples
	Examples/check.sh

deb: libraries packaging-tools
	Packaging/build.sh

# The second one is an upgrade of the first.
test-deb: PACKAGING_TOOLS += debootstrap:debootstrap lintian:lintian systemd-analyze:systemd \
	systemd-nspawn:systemd-container man:man-db
test-deb: libraries packaging-tools
	older=$$(Packaging/build.sh 1) && newer=$$(Packaging/build.sh 2) && \
		$(if $(filter 0,$(shell id -u)),,sudo) env $(if $(PORT),PORT=$(PORT)) $(if $(SUITE),SUITE=$(SUITE)) \
		Packaging/test.sh $$older $$newer

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

# What the tests run.
TEST_TOOLS := etcd:etcd-server etcdctl:etcd-client openssl:openssl
test-tools:
	@missing=; for tool in $(TEST_TOOLS); do \
		command -v $${tool%:*} >/dev/null || [ -e $${tool%:*} ] || missing="$$missing $${tool#*:}"; \
	done; \
	[ -z "$$missing" ] || { $(APT_GET) update && $(APT_GET) install --yes --no-install-recommends $$missing; }

# What makes the package, and what `make test-deb` looks at it with.
PACKAGING_TOOLS := dpkg-shlibdeps:dpkg-dev git:git
packaging-tools:
	@missing=; for tool in $(PACKAGING_TOOLS); do \
		PATH=$$PATH:/usr/sbin command -v $${tool%:*} >/dev/null || missing="$$missing $${tool#*:}"; \
	done; \
	[ -z "$$missing" ] || { $(APT_GET) update && $(APT_GET) install --yes --no-install-recommends $$missing; }

# What it is measured against, from Debian's packages. Without one of them its rows say so.
BASELINES := redis-server:redis-server nginx:nginx-light etcd:etcd-server initdb:postgresql-15 git:git \
	sqlite3:sqlite3 python3:python3
baselines:
	@missing=; for baseline in $(BASELINES); do \
		PATH=$$PATH:/usr/sbin:/usr/lib/postgresql/15/bin command -v $${baseline%:*} >/dev/null || missing="$$missing $${baseline#*:}"; \
	done; \
	[ -z "$$missing" ] || $(APT_GET) update || true; \
	for package in $$missing; do \
		$(APT_GET) install --yes --no-install-recommends $$package || echo "not installed: $$package" >&2; \
	done
