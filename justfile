# The daily commands. `just` lists them.

# List the commands.
default:
    @just --list

# Create ./agora-vendor.db if it is not there, and serve on http://127.0.0.1:8080.
serve:
    cargo run --release -- serve --init

# Format, lint, and run the tests of one name: `just quick prices`.
quick name="":
    cargo fmt
    cargo clippy --all-targets -- -D warnings
    cargo test --test it {{name}}

# Run all tests.
test:
    cargo test

# Run all tests, the long forms of crash loops and exhaustive changes too.
long:
    AGORA_VENDOR_LONG_TESTS=1 cargo test

# Run every command of README.md and docs/, and write what is printed into the pages.
docs:
    AGORA_VENDOR_WRITE_DOCS=1 cargo test --test it docs
    git diff --stat -- README.md docs

# Run one benchmark: `just bench record`.
bench name:
    cargo bench --bench {{name}}

# Make the Debian package, in target/debian.
deb:
    packaging/build-deb

# Check licenses, sources, bans and advisories of the dependencies.
deny:
    cargo deny check

# Run everything that a change must pass.
ci:
    .ci/run
