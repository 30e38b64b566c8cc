#!/bin/bash
# Does with the example what the tutorial of the library does (Sources/Chain/Chain.docc): appends, comes back, is cheated.
set -euo pipefail
audit_log=$(realpath "$(dirname "$0")/.build/debug/AuditLog")
folder=$(mktemp --directory)
trap 'rm -r "$folder"' EXIT
cd "$folder"

fail() {
    printf '%s; it printed:\n' "$1" >&2
    cat printed >&2
    exit 1
}

printf '%s\n' 'paid 10 to Ana' 'paid 20 to Rui' | "$audit_log" audit.db >printed 2>&1 || fail "it failed"
last=$(sed -nE 's/^2 ([0-9a-f]{64})$/\1/p' printed)
[ "$(sed -n '3,$p' printed)" = "all 3 blocks are good, head $last" ] || fail "two lines are not two blocks"

echo 'lost the key' | "$audit_log" audit.db >printed 2>&1 || fail "it does not go on"
last=$(sed -nE 's/^3 ([0-9a-f]{64})$/\1/p' printed)
[ "$(sed -n '2,$p' printed)" = "all 4 blocks are good, head $last" ] || fail "a third line is not a third block"

sed -i 's/paid 20/paid 90/' audit.db
status=0
"$audit_log" audit.db </dev/null >printed 2>&1 || status=$?
[ "$status" = 1 ] && grep -qE '^block 2, hash: expected [0-9a-f]{64}, found [0-9a-f]{64}$' printed ||
    fail "it does not see what was changed (exit status $status)"

"$audit_log" "$folder" </dev/null >printed 2>&1 && fail "it takes a folder for a list"
[ "$(cat printed)" = "$folder: not an SQLite database" ] || fail "it does not say what is wrong in a line"
