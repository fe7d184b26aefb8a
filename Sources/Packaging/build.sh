#!/usr/bin/env bash
# Makes what is handed out: for each processor a tarball and a Debian package with stripped, fully static binaries, manual
# pages, completion for bash and the service's systemd unit; and SHA256SUMS over them.
#
#   Sources/Packaging/build.sh [x86_64] [aarch64] [--output FOLDER]      (default: x86_64, into .build-packages/out)
#
# aarch64 is built in the environment of Tests/arm64, which needs root and Debian's archive.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD

output=$root/.build-packages/out
processors=()
while (($#)); do
  case $1 in
    x86_64 | aarch64) processors+=("$1") ;;
    --output) output=$(realpath -m "${2:?--output needs a folder}") && shift ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
  esac
  shift
done
((${#processors[@]})) || processors=(x86_64)

tools=(occam-run occam-serve occam-bench occam-quantize occam-calibrate)
version=$(sed -n 's/.*static let version = "\(.*\)"/\1/p' Sources/Core/Release.swift)
# The time of the commit stands in archives, not that of making them.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
export TZ=UTC LC_ALL=C
umask 022

# Static to the C library: one file that runs on every Linux of the processor, whatever glibc it has.
flags=(-c release --static-swift-stdlib -Xswiftc -static-executable)

# Prints the folder of the built tools.
build() {
  local products=()
  for tool in "${tools[@]}"; do products+=(--product "$tool"); done
  case $1 in
    "$(uname -m)") # SwiftPM takes the last --product only.
      for tool in "${tools[@]}"; do
        swift build "${flags[@]}" --scratch-path ".build-packages/$1" --product "$tool" >&2
      done
      swift build "${flags[@]}" --scratch-path ".build-packages/$1" --show-bin-path
      ;;
    aarch64) Tests/arm64/cross.sh build "${flags[@]}" -- "${tools[@]}" ;;
    *) echo "build.sh: $1 cannot be built on $(uname -m)" >&2 && exit 1 ;;
  esac
}

# How a tool of that processor is started here.
runner() {
  [ "$1" = "$(uname -m)" ] || echo "qemu-$1-static"
}

# Fills the folder $2 as a prefix (/usr or /usr/local) would be.
fill() {
  local processor=$1 prefix=$2 binaries=$3 strip=strip
  [ "$processor" = "$(uname -m)" ] || strip=$processor-linux-gnu-strip
  command -v "$strip" >/dev/null || strip="llvm-strip"
  for tool in "${tools[@]}"; do
    install -D -m 755 "$binaries/$tool" "$prefix/bin/$tool"
    "$strip" --strip-all "$prefix/bin/$tool"
    local run
    read -ra run <<<"$(runner "$processor")"
    mkdir -p "$prefix/share/man/man1" "$prefix/share/bash-completion/completions"
    "${run[@]}" "$prefix/bin/$tool" --generate man | gzip -9n >"$prefix/share/man/man1/$tool.1.gz"
    "${run[@]}" "$prefix/bin/$tool" --generate bash >"$prefix/share/bash-completion/completions/$tool"
  done
  local documents=$prefix/share/doc/occam
  install -D -m 644 README.md -t "$documents"
  install -D -m 644 LICENSE Sources/Packaging/copyright -t "$documents"
  install -D -m 644 Sources/occam-serve/Deploy/{haproxy.cfg,litellm.yaml,llama-swap.yaml} -t "$documents/examples"
  gzip -9nc CHANGELOG.md >"$documents/changelog.gz"
}

units() { # from the recipe, for binaries in $1/bin
  for unit in occam-serve.service occam-serve.socket; do
    install -d "$2"
    sed "s|/usr/local/bin/|$1/bin/|" "Sources/occam-serve/Deploy/$unit" >"$2/$unit"
  done
}

tarball() {
  local name=occam-$version-linux-$1
  local tree=$work/$name
  fill "$1" "$tree" "$2"
  units /usr/local "$tree/lib/systemd/system"
  tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c "$name" |
    xz -T1 -6 >"$output/$name.tar.xz"
}

deb() {
  local architecture=amd64
  [ "$1" = aarch64 ] && architecture=arm64
  local tree=$work/deb-$1
  fill "$1" "$tree/usr" "$2"
  units /usr "$tree/usr/lib/systemd/system"
  install -D -m 644 Sources/Packaging/serve.conf "$tree/etc/occam/serve.conf"
  install -d "$tree/DEBIAN"
  echo /etc/occam/serve.conf >"$tree/DEBIAN/conffiles"
  for script in postinst prerm postrm; do install -m 755 "Sources/Packaging/$script" "$tree/DEBIAN/$script"; done
  (cd "$tree" && find etc usr -type f -print0 | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  cat >"$tree/DEBIAN/control" <<END
Package: occam
Version: $version
Architecture: $architecture
Maintainer: The Occam authors
Installed-Size: $(du -k -s --apparent-size "$tree" | cut -f1)
Section: science
Priority: optional
Description: vision-language models on ordinary processors
 Answers questions about photos with the GGUF files that llama.cpp reads, on the
 CPU, and drops the visual tokens that a question does not need. occam-run is the
 command, occam-serve the HTTP service, occam-bench measures, occam-quantize
 converts weights, occam-calibrate finds the thresholds of pruning.
END
  find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$tree" "$output/occam_${version}_$architecture.deb" >/dev/null
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$output"
rm -f "$output"/occam[-_]"$version"* "$output/SHA256SUMS"
for processor in "${processors[@]}"; do
  binaries=$(build "$processor")
  tarball "$processor" "$binaries"
  deb "$processor" "$binaries"
done
(cd "$output" && sha256sum -- occam[-_]"$version"* >SHA256SUMS && cat SHA256SUMS)
