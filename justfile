# List the recipes.
default:
    @just --list

# Format and lint.
check:
    cargo fmt --all
    cargo clippy --all-targets

# All tests; arguments go to the runner.
test *args:
    scripts/test {{args}}

# Everything that must hold before a change lands.
ci:
    bash .ci/run

# Review changed snapshots.
snap:
    cargo insta review

# Licences, sources and bans of the dependencies.
deny:
    cargo fetch --locked
    cargo deny --offline --locked check licenses bans sources

# The gate on the embedded server.
demo:
    cargo run -- gate

# Write the JSON Schemas again.
schema:
    cargo run -- schema --output schemas

# Fuzz one target for a minute.
fuzz target:
    cargo +nightly fuzz run {{target}} -- -max_total_time=60
