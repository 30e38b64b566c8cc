#!/bin/bash
# What systemd makes of the service: run by Packaging/test.sh as root in a Debian of its own that has booted, with an older
# and a newer package.
set -euo pipefail
older=$1
newer=$2

step=
trap 'status=$?; [ $status = 0 ] || { echo "FAILED: $step"; journalctl --no-pager --unit chaind | tail -20; }' EXIT
step() { step=$1; echo "-- $1"; }
property() { systemctl show --property "$1" --value chaind.service; }
# Waits until the service, restarted so many times, is ready, which it says itself.
runs_again() {
    for _ in $(seq "${2:-20}"); do
        if [ "$(property NRestarts)" = "$1" ] && systemctl --quiet is-active chaind.service; then return; fi
        sleep 1
    done
    echo "not restarted: $(property ActiveState), $(property NRestarts) restarts"
    return 1
}

step "started by the installation"
timeout 60 dpkg --install "$older" >/dev/null
runs_again 0
[ "$(chaind append "it stays" | cut -d' ' -f1)" = 1 ]
grep -q '^Uid:.'"$(id -u chaind)" "/proc/$(property MainPID)/status"
grep -q '^CapEff:.0*$' "/proc/$(property MainPID)/status"

step "restarted after it was killed"
kill -KILL "$(property MainPID)"
runs_again 1
[ "$(chaind get --data 1)" = "it stays" ]

step "restarted by the watchdog after it hung"
kill -STOP "$(property MainPID)"
runs_again 2 60
[ "$(chaind get --data 1)" = "it stays" ]

step "not restarted while it lives"
sleep 45  # Longer than WatchdogSec.
runs_again 2 1

step "restarted by an upgrade"
before=$(property MainPID)
timeout 60 dpkg --install "$newer" >/dev/null
systemctl --quiet is-active chaind.service
[ "$(property MainPID)" != "$before" ]
[ "$(chaind get --data 1)" = "it stays" ]

step "stopped in order"
systemctl stop chaind.service
[ "$(property Result)" = success ]

step "not enabled again by an upgrade"
systemctl --quiet disable chaind.service 2>/dev/null
timeout 60 dpkg --install "$older" >/dev/null 2>&1
[ "$(systemctl is-enabled chaind.service)" = disabled ]
systemctl --quiet enable chaind.service 2>/dev/null
systemctl start chaind.service

step "stopped by the removal"
dpkg --remove chaind >/dev/null
[ "$(systemctl is-active chaind.service)" = inactive ]

step "started by the next installation, with its data"
timeout 60 dpkg --install "$newer" >/dev/null
systemctl --quiet is-active chaind.service
[ "$(chaind get --data 1)" = "it stays" ]

step "stopped by a purge, which leaves nothing but the data"
dpkg --purge chaind >/dev/null
[ "$(systemctl is-active chaind.service)" = inactive ]
[ "$(find /etc /lib /usr /run/systemd /var/lib/systemd -xdev -name 'chaind*')" = "" ]
[ -s /var/lib/chaind/chain.db ]
