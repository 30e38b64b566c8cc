#!/bin/sh
# Checks openapi.json, and a running node against it, with schemathesis.
#
#     check_description.sh OPENAPI_JSON BASE_URL
#
# Operations that change the group or are binary are left out. The node gets some hundred appends; use one without data of
# worth. Environment: SEED (1), EXAMPLES (50 requests an operation and round), FUZZ_SECONDS (60). Needs python3 with venv, and PyPI.
# Exit status 0: everything conforms.
set -eu
description=${1:?usage: check_description.sh OPENAPI_JSON BASE_URL}
base=${2:?usage: check_description.sh OPENAPI_JSON BASE_URL}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
python3 -m venv "$work/venv"
"$work/venv/bin/pip" -q --disable-pip-version-check install 'openapi-spec-validator>=0.7,<1' 'schemathesis>=4.32,<5'
"$work/venv/bin/openapi-spec-validator" "$description"

# What a schema cannot say: a last_hash or a list may contradict ours, from excludes since, and only a group with an engine
# answers consistency=linearizable.
cat >"$work/schemathesis.toml" <<'TOML'
[parameters]
"query.consistency" = "local"
"query.timeout" = 0
[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 504, 507]
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 503, 504, 507]
[checks.negative_data_rejection]
expected-statuses = [400, 404, 405, 409, 413, 422]
[[operations]]
include-operation-id = "list_blocks_blocks__get"
checks.positive_data_acceptance.expected-statuses = ["2xx", 422, 503]
[[operations]]
include-operation-id = ["add_block_blocks__post", "add_blocks_blocks_batch_post", "receive_blockchain_sync_blockchain_post"]
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 409, 413, 503, 504, 507]
TOML
cd "$work"
"$work/venv/bin/schemathesis" --config-file "$work/schemathesis.toml" run "$description" --url "$base" \
    --phases examples,coverage,fuzzing --checks all \
    --seed "${SEED:-1}" --max-examples "${EXAMPLES:-50}" --max-time "${FUZZ_SECONDS:-60}" --request-timeout 30 --continue-on-failure \
    --exclude-tag 'between nodes' --exclude-tag Operators \
    --exclude-operation-id add_sync_address_sync_address_post --exclude-operation-id follow_blocks_blocks_events_get \
    --suppress-health-check all --generation-database none --warnings off --no-color
