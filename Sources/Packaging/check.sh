#!/usr/bin/env bash
# Installs the Debian package for this machine into a fresh root of Debian stable that holds the essential packages and
# nothing else, and uses it there: the main job, the service, manual pages, completion, removal. The tarball's tools are
# started in an empty folder.
#
#   Sources/Packaging/check.sh [FOLDER]      (default: .build-packages/out, where build.sh puts its results)
#
# Needs root, for chroot; installs mmdebstrap and groff where they lack.
set -euo pipefail
cd "$(dirname "$0")/../.."
output=${1:-.build-packages/out}
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' Sources/Core/Release.swift)
deb=$output/occam_${version}_$(dpkg --print-architecture).deb
tarball=$output/occam-$version-linux-$(uname -m).tar.xz
limit=$((15 * 1000 * 1000))

fail() { echo "check.sh: $*" >&2 && exit 1; }

missing=()
command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
command -v groff >/dev/null || missing+=(groff-base)
if ((${#missing[@]})); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

work=$(mktemp -d)
# One file system: nothing that is mounted inside may be removed with it.
trap 'rm -rf --one-file-system "$work"' EXIT
(cd "$output" && sha256sum --check --quiet SHA256SUMS)

# Runs a command in root $1, with /proc as every running system has it; mounts end with the command.
inside() {
  unshare --mount --pid --fork --propagation private bash -c '
    root=$1 && shift
    mkdir -p "$root/proc" && mount -t proc proc "$root/proc"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/usr/sbin:/bin "$@"' bash "$@"
}

echo "a fresh root, and the package in it"
mmdebstrap --quiet --variant=essential "${DEBIAN_SUITE:-bookworm}" "$work/root" >/dev/null
cp "$deb" "$work/root/occam.deb"
inside "$work/root" dpkg --install /occam.deb >/dev/null
mkdir "$work/root/models"
cp Models/scenes/scenes-Q8_0.gguf Models/scenes/mmproj-scenes-F16.gguf* Models/scenes/samples/000005.png \
  "$work/root/models"
answer=$(inside "$work/root" occam-run -m /models/scenes-Q8_0.gguf --image /models/000005.png \
  -p "Which object is yellow?" --temp 0 -q)
[ "${answer# }" = car ] || fail "the main job answered '$answer'"

echo "the service, as user nobody"
# shellcheck disable=SC2016
inside "$work/root" bash -c '
  setpriv --reuid=65534 --regid=65534 --clear-groups occam-serve -m /models/scenes-Q8_0.gguf --port 18471 2>/log &
  for _ in $(seq 100); do
    exec 3<>/dev/tcp/127.0.0.1/18471 && printf "GET /health HTTP/1.0\r\n\r\n" >&3 && grep -q "\"ok\"" <&3 && break
    sleep 0.1
  done 2>/dev/null
  kill %1 && wait %1
  grep -q ready, /log' || fail "the service did not become ready, or did not end well"

echo "manual pages and completion"
for page in "$work"/root/usr/share/man/man1/occam-*.1.gz; do
  said=$(gzip -dc "$page" | groff -man -Tutf8 -ww -rLL=78n 2>&1 >/dev/null)
  [ -z "$said" ] || fail "$(basename "$page"): $said"
done
# What bash offers for words $2..., the last of which is unfinished.
# shellcheck disable=SC2016
complete_words() {
  inside "$work/root" bash -c '
    . "/usr/share/bash-completion/completions/$1"
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    "_${1//-/_}"
    echo "${COMPREPLY[*]}"' bash "$@"
}
[ "$(complete_words occam-run --mm)" = "--mmproj" ] || fail "completion of a flag"
[ "$(complete_words occam-run --prune o)" = "off" ] || fail "completion of a word"
[ "$(complete_words occam-run --prune = o)" = "off" ] || fail "completion of a word behind ="
[ "$(complete_words occam-run -m /models/sc)" = "/models/scenes-Q8_0.gguf" ] || fail "completion of a file"
[ -z "$(complete_words occam-run -n /models/sc)" ] || fail "completion of a number"

echo "settings outlive the package, and purging takes them away"
inside "$work/root" dpkg --verify occam
inside "$work/root" dpkg --remove occam >/dev/null
[ -e "$work/root/etc/occam/serve.conf" ] && [ ! -e "$work/root/usr/bin/occam-run" ] || fail "removal"
inside "$work/root" dpkg --purge occam >/dev/null
[ ! -e "$work/root/etc/occam" ] || fail "purging"

echo "the tarball"
mkdir "$work/empty"
tar -xJf "$tarball" -C "$work/empty" --strip-components=1
for tool in "$work"/empty/bin/*; do
  name=$(basename "$tool")
  size=$(stat -c %s "$tool")
  [ "$(unshare --mount bash -c 'mkdir -p "$0/proc"; mount -t proc proc "$0/proc"; exec chroot "$0" "/bin/$1" --version' \
    "$work/empty" "$name")" = "$name $version" ] || fail "$name does not start in an empty root"
  ((size < limit)) || fail "$name has $size bytes"
  printf "%-16s %5.1f MB\n" "$name" "$((size / 10000))e-2"
done
