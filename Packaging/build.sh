#!/bin/bash
# Builds the Debian package, .build/package/chaind_VERSION-REVISION_ARCHITECTURE.deb, and prints its path.
#
# Packaging/build.sh [REVISION], 1 unless it is given: a new package of the same version of the program. The version is
# what the program says. Maintainer and times are those of DEBFULLNAME, DEBEMAIL and SOURCE_DATE_EPOCH, else of the last
# commit: the same commit is to give the same package, in the same folder, which one C source names in an assertion.
set -euo pipefail
cd "$(dirname "$0")/.."

revision=${1:-1}
output=$PWD/.build/package
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
maintainer="${DEBFULLNAME:-The chaind authors} <${DEBEMAIL:-authors@chaind.invalid}>"
export SOURCE_DATE_EPOCH LC_ALL=C.UTF-8 TZ=UTC
umask 022

# Apart from .build/release, whose Swift runtime is not linked statically. BoringSSL's errors name its sources: not where
# they were built.
echo "building chaind" >&2
swift build --configuration release --static-swift-stdlib --disable-local-rpath --product chaind \
    --scratch-path "$output" -Xcxx "-ffile-prefix-map=$PWD=." -Xlinker -z -Xlinker now >&2
echo "building the generator of the manual pages" >&2
swift build --package-path "$output/checkouts/swift-argument-parser" --scratch-path "$output/manual" \
    --product generate-manual >&2
program=$output/release/chaind
version=$("$program" --version)-$revision

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
place() { install -D -m "${3:-644}" "$1" "$root/$2"; }

# The program. Symbols stay in .build/package, for the core of a crash.
strip --remove-section=.comment --remove-section=.note -o "$stage/chaind" "$program"
place "$stage/chaind" usr/bin/chaind 755
place Packaging/chaind.service lib/systemd/system/chaind.service
place Packaging/chaind.sysusers usr/lib/sysusers.d/chaind.conf
place Packaging/chaind.json etc/chaind/chaind.json

# Help says which ways to hash the processor has that it runs on, and takes the fastest: here any processor is meant.
anywhere='s/\(one of [^();]*; (default\\?:) [^();]*; (environment\\?: CHAIND_HASHING)\)/(\1 the fastest that the processor has; \2)/'

# A page for each command, under the names by which `man chaind serve` finds them. An empty line is a paragraph in mdoc.
mkdir "$stage/pages" && mkdir -p "$root/usr/share/man/man1"
"$output/manual/debug/generate-manual" "$program" --multi-page --output-directory "$stage/pages" \
    --date "$(date --date="@$SOURCE_DATE_EPOCH" +%F)"
rm "$stage/pages/chaind.help.1"
for page in "$stage"/pages/*.1; do
    name=$(basename "$page" .1)
    command=${name/./ }
    sed -E -e "$anywhere" -e 's/^$/.Pp/' -e "s/^\.Os$/.Os \"chaind ${version%-*}\"/" -e '/^\.Xr chaind\.help /d' \
        -e '/^\.Xr /s/chaind\./chaind-/' -e '/^\.Dt /s/CHAIND\./CHAIND-/' \
        -e 's/^\.Nm "chaind ([a-z]+)"$/.Nm chaind-\1/' -e "/^\.Sh SYNOPSIS$/,/^\.Sh/s/^\.Nm$/.Nm \"$command\"/" \
        -e "s/^\.Ex -std$/.Ex -std \"$command\"/" "$page" |
        gzip -9n >"$root/usr/share/man/man1/${name/./-}.1.gz"
done

# Completions.
for shell in bash:bash-completion/completions/chaind zsh:zsh/vendor-completions/_chaind \
    fish:fish/vendor_completions.d/chaind.fish; do
    "$program" --generate-completion-script "${shell%%:*}" | sed -E -e "$anywhere" -e '1{/^#!/d}' >"$stage/completion"
    place "$stage/completion" "usr/share/${shell#*:}"
done

# What Debian wants to know. Its own changelog is of the package alone.
mkdir -p "$stage/debian" "$root/DEBIAN"
cat >"$stage/debian/changelog" <<END
chaind ($version) unstable; urgency=medium

  * A package of this version; changelog.gz says what is new in it.

 -- $maintainer  $(date --date="@$SOURCE_DATE_EPOCH" -R)
END
gzip -9n <"$stage/debian/changelog" >"$stage/changelog.Debian.gz"
gzip -9n <CHANGELOG.md >"$stage/changelog.gz"
for notice in "$output"/checkouts/*/NOTICE.txt; do
    echo "== $(basename "$(dirname "$notice")")"
    cat "$notice"
done | gzip -9n >"$stage/NOTICE.gz"
place "$stage/changelog.Debian.gz" usr/share/doc/chaind/changelog.Debian.gz
place "$stage/changelog.gz" usr/share/doc/chaind/changelog.gz
place "$stage/NOTICE.gz" usr/share/doc/chaind/NOTICE.gz
place Packaging/debian/copyright usr/share/doc/chaind/copyright
place Packaging/debian/lintian-overrides usr/share/lintian/overrides/chaind
for script in postinst prerm postrm; do place Packaging/debian/$script DEBIAN/$script 755; done
place Packaging/debian/conffiles DEBIAN/conffiles

(
    cp Packaging/debian/control "$stage/debian/control"
    cd "$stage"
    dpkg-shlibdeps -O root/usr/bin/chaind >debian/substvars
    sed -i "s/\${chaind:Maintainer}/$maintainer/" debian/control
    dpkg-gencontrol -pchaind -Proot -Tdebian/substvars
)
(cd "$root" && find usr lib -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)

package=$output/chaind_${version}_$(dpkg --print-architecture).deb
dpkg-deb --build --root-owner-group -Zxz "$root" "$package" >&2
echo "$package"
