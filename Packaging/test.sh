#!/bin/bash
# Tests the Debian package in a fresh Debian: `make test-deb`, or as root Packaging/test.sh OLDER.deb NEWER.deb.
#
# The root is made by debootstrap and kept as .build/package/SUITE.tar for the next run; SUITE is bookworm unless it is
# set. The node listens on 127.0.0.1, at PORT. Everything runs in namespaces of its own, so that no process and no mount
# outlives the script.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
    [ "$(id -u)" = 0 ] || { echo "root is needed to make a root of its own" >&2; exit 1; }
    exec unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside "$@"
fi
older=$(realpath "$2")
newer=$(realpath "$3")
cd "$(dirname "$0")/.."
suite=${SUITE:-bookworm}
port=${PORT:-18450}
url=http://127.0.0.1:$port
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

work=$(mktemp -d)
root=$work/root
umount_proc() { if mountpoint -q "$root/proc"; then umount --lazy "$root/proc"; fi; }
clean_up() {
    local status=$?
    umount_proc
    rm -rf --one-file-system "$work"
    [ $status = 0 ] || echo "FAILED: $step" >&2
}
trap clean_up EXIT

step=
step() { step=$1; echo "== $1"; }
# The commands of a step go on in the shell that `set -e` watches; these say what was expected of them.
fail() { echo "$1" >&2; exit 1; }
equal() { [ "$1" = "$2" ] || fail "expected '$2', got '$1'"; }
# A link counts as it stands: what it names is looked for inside only.
exists() { [ -e "$root$1" ] || [ -L "$root$1" ]; }
is_there() { for path in "$@"; do exists "$path" || fail "$path is missing"; done; }
is_gone() { for path in "$@"; do ! exists "$path" || fail "$path is still there"; done; }

inside() { chroot "$root" "$@"; }
as_user() { chroot --userspec=chaind:chaind "$root" "$@"; }
apt() { inside apt-get --quiet --quiet --yes --no-install-recommends "$@" >"$work/apt.log" 2>&1 || { cat "$work/apt.log" >&2; return 1; }; }
install_package() {
    cp "$1" "$root/tmp/chaind.deb"
    apt install /tmp/chaind.deb
    rm "$root/tmp/chaind.deb"
    [[ "$(inside dpkg --verify chaind)" =~ ^(\?\?5\?{6}\ c\ /etc/chaind/chaind.json)?$ ]] || fail "files differ from those of the package"
}

# The service's command, as its user, and in its folder; without systemd to tell.
node=
start() {
    local command
    command=$(sed -n 's/^ExecStart=//p' "$root/lib/systemd/system/chaind.service")
    # No function: its shell would get the signals.
    chroot --userspec=chaind:chaind "$root" env -C /var/lib/chaind $command --port "$port" 2>"$work/node.log" &
    node=$!
    for _ in $(seq 100); do
        if as_user chaind status --url "$url" >"$work/status" 2>&1; then return; fi
        kill -0 $node 2>/dev/null || break
        sleep 0.1
    done
    cat "$work/node.log" "$work/status" >&2
    fail "the node does not answer"
}
stop() { kill -TERM $node; wait $node || fail "the node ended with status $?"; }
verify() { as_user chaind verify /var/lib/chaind/chain.db; }

step "lint"
if command -v lintian >/dev/null; then
    for package in "$older" "$newer"; do lintian --allow-root --fail-on error,warning "$package"; done
else
    echo "not checked: lintian is not installed"
fi

step "the unit"
dpkg-deb --extract "$newer" "$work/files"
# Where it stands and which program it starts are those of this machine, which has no chaind.
unit=$work/chaind.service
sed "s|^ExecStart=|&$work/files|" "$work/files/lib/systemd/system/chaind.service" >"$unit"
complaints=$(systemd-analyze verify --man=no "$unit" 2>&1) || fail "$complaints"
equal "$complaints" ""
systemd-analyze security --offline=true --threshold=20 "$unit" | tail -1
mkdir -p "$work/users/etc"
systemd-sysusers --root="$work/users" "$work/files/usr/lib/sysusers.d/chaind.conf" 2>/dev/null
grep -q '^chaind:.*:/var/lib/chaind:/usr/sbin/nologin$' "$work/users/etc/passwd"

step "manual pages and completions"
for command in $("$work/files/usr/bin/chaind" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p'); do
    page=$work/files/usr/share/man/man1/chaind-$command.1.gz
    [ -e "$page" ] || fail "$command has no manual page"
    equal "$(MANWIDTH=80 man --warnings --local-file "$page" 2>&1 >/dev/null)" ""
done
bash -n "$work/files/usr/share/bash-completion/completions/chaind"
for shell in zsh:zsh/vendor-completions/_chaind fish:fish/vendor_completions.d/chaind.fish; do
    if command -v ${shell%%:*} >/dev/null; then ${shell%%:*} -n "$work/files/usr/share/${shell#*:}"; fi
done

step "a fresh $suite"
tar=.build/package/$suite.tar
if [ ! -e $tar ]; then
    mkdir -p "${tar%/*}"
    debootstrap --variant=minbase "$suite" "$work/new" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log" >&2; exit 1; }
    tar --create --file $tar.new --directory "$work/new" --numeric-owner .
    mv $tar.new $tar
    rm -rf "$work/new"
fi
fresh_root() {
    umount_proc
    rm -rf --one-file-system "$root"
    mkdir "$root"
    tar --extract --file $tar --directory "$root" --numeric-owner
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    mount -t proc proc "$root/proc"
    apt update
}
fresh_root

step "install"
install_package "$older"
equal "$(inside id -un chaind) $(inside id -gn chaind)" "chaind chaind"
equal "$(inside getent passwd chaind | cut -d: -f6-)" "/var/lib/chaind:/usr/sbin/nologin"
equal "$(inside stat -c '%U %G %a' /var/lib/chaind)" "chaind chaind 750"
equal "$(inside stat -c '%U %G %a' /etc/chaind/chaind.json)" "root root 644"
equal "$(inside chaind --version)" "$(dpkg-deb --field "$older" Version | sed 's/-.*//')"
is_there /etc/systemd/system/multi-user.target.wants/chaind.service
echo "installed: $(inside dpkg-query -W -f='${Package} ${Version}, ${Installed-Size} KiB' chaind)"

step "run"
start
as_user chaind append --url "$url" "before the upgrade" >"$work/appended"
equal "$(cut -d' ' -f1 "$work/appended")" 1
equal "$(as_user chaind get --url "$url" --data 1)" "before the upgrade"
hash=$(cut -d' ' -f2 "$work/appended")
stop
verify

step "upgrade"
sed -i 's/"notice"/"info"/' "$root/etc/chaind/chaind.json"
install_package "$newer"
equal "$(inside dpkg-query -W -f='${Version}' chaind)" "$(dpkg-deb --field "$newer" Version)"
grep -q '"info"' "$root/etc/chaind/chaind.json" || fail "the changed settings were lost"
start
equal "$(as_user chaind head --url "$url" --json | sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/')" "$hash"
equal "$(as_user chaind append --url "$url" "after the upgrade" | cut -d' ' -f1)" 2
stop
verify

step "remove"
apt remove chaind
is_gone /usr/bin/chaind /lib/systemd/system/chaind.service /usr/share/man/man1/chaind.1.gz /usr/share/doc/chaind
is_there /var/lib/chaind/chain.db /etc/chaind/chaind.json
inside getent passwd chaind >/dev/null

step "install again"
install_package "$newer"
is_there /etc/systemd/system/multi-user.target.wants/chaind.service
start
equal "$(as_user chaind get --url "$url" --data 2)" "after the upgrade"
stop

step "purge"
apt purge chaind
grep -q 'the data in /var/lib/chaind are kept' "$work/apt.log" || fail "nothing was said of the data"
is_gone /etc/chaind
is_there /var/lib/chaind/chain.db
equal "$(inside stat -c %U /var/lib/chaind/chain.db)" chaind

step "purge without data"
rm -r "$root/var/lib/chaind"
install_package "$newer"
apt purge chaind
equal "$(inside find / -xdev -iname '*chaind*')" ""

step "the service"
if command -v systemd-nspawn >/dev/null; then
    fresh_root
    apt install systemd systemd-sysv libssl3 libsqlite3-0
    umount_proc
    mkdir "$root/test"
    cp "$older" "$root/test/older.deb"
    cp "$newer" "$root/test/newer.deb"
    cp Packaging/test-service.sh "$root/test/test"
    cat >"$root/etc/systemd/system/test.service" <<'END'
[Service]
Type=oneshot
TimeoutStartSec=10min
ExecStart=/bin/bash -c 'if /test/test /test/older.deb /test/newer.deb >/test/log 2>&1; then touch /test/passed; fi'
ExecStopPost=systemctl poweroff --no-block
END
    mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
    ln -s ../test.service "$root/etc/systemd/system/multi-user.target.wants/test.service"
    # With a network of its own, where the port is free; in the scope of this shell where no systemd makes another one.
    keep_unit=--keep-unit
    if [ -d /run/systemd/system ]; then keep_unit=; fi
    timeout 900 systemd-nspawn --quiet --register=no $keep_unit --private-network --directory="$root" --boot \
        >"$work/boot.log" 2>&1 </dev/null || { tail "$work/boot.log" >&2; fail "it did not boot"; }
    # It leaves its groups of processes behind where no systemd made their scope.
    [ -z "$keep_unit" ] || find /sys/fs/cgroup/*/payload /sys/fs/cgroup/*/supervisor -depth -type d -exec rmdir {} \; 2>/dev/null || true
    cat "$root/test/log"
    [ -e "$root/test/passed" ] || fail "the service is not as it should be"
else
    echo "not checked: systemd-nspawn is not installed"
fi

step "the package works"
