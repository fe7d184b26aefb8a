#!/usr/bin/env bash
# Makes what building and running for aarch64 needs, in the ignored folder .build-arm64:
#
#   sid/      a root of Debian's unstable suite with Swift for this machine, the only suite whose Swift is new enough
#   sysroot/  the same Swift's modules and libraries for aarch64, with its C library: modules of another compiler version
#             are refused
#   sdks/     the Swift SDK that names both
#
# Needs root, Debian's archive, 6 GB and a few minutes; does nothing where it is done.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)/.build-arm64
[ -e "$here/ready" ] && exit
[ "$(id -u)" = 0 ] || { echo "environment.sh: needs root, for chroot" >&2 && exit 1; }

tools=()
command -v qemu-aarch64-static >/dev/null || tools+=(qemu-user-static)
command -v mmdebstrap >/dev/null || tools+=(mmdebstrap)
if ((${#tools[@]})); then
  apt-get update -qq && apt-get install -y -qq --no-install-recommends "${tools[@]}"
fi

rm -rf "$here"
mkdir -p "$here"/{lists/partial,cache/archives/partial,packages,sysroot/usr/lib}
cd "$here"
# The mirror that this machine uses for Debian itself.
sources() { cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null || true; }
mirror=${DEBIAN_MIRROR:-$(sources | sed -nE 's/^(URIs:|deb( \[[^]]*\])?) *([^ ]*\/debian)\/?( .*|$)/\3/p' | head -1)}
[ -n "$mirror" ] || { echo "environment.sh: no Debian mirror in apt's sources; set DEBIAN_MIRROR" >&2 && exit 1; }
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror sid main" >sources.list
apt=(-oDir::Etc::SourceList="$here/sources.list" -oDir::Etc::SourceParts=/dev/null -oDir::State::Lists="$here/lists"
  -oDir::Cache="$here/cache" -oAPT::Architectures::=amd64 -oAPT::Architectures::=arm64
  -oAcquire::Check-Valid-Until=false -oAPT::Sandbox::User=root)
apt-get "${apt[@]}" -qq update

# The C++ library that Debian's compiler uses now.
gcc=$(apt-cache "${apt[@]}" show g++:arm64 | sed -nE 's/^Depends:.* g\+\+-([0-9]+).*/\1/p' | head -1)

(cd packages && apt-get "${apt[@]}" -qq download {swiftlang,libswiftlang,libc6,libc6-dev,libcrypt-dev}:arm64 \
  {"libstdc++-$gcc-dev","libgcc-$gcc-dev",libgcc-s1,libstdc++6}:arm64 linux-libc-dev:all)
mmdebstrap --quiet --variant=apt --architectures=amd64 --aptopt='Acquire::Check-Valid-Until "false"' \
  --aptopt='APT::Install-Recommends "false"' \
  --include="swiftlang,libc6-dev,libstdc++-$gcc-dev,git,ca-certificates,libncurses-dev,binutils-aarch64-linux-gnu" \
  sid sid sources.list

ln -s usr/lib sysroot/lib
for package in packages/*.deb; do
  case $package in
    packages/swiftlang_*)
      dpkg --fsys-tarfile "$package" | tar -x -C sysroot --wildcards \
        './usr/libexec/swift/lib/swift/*' './usr/libexec/swift/lib/swift_static/*' './usr/libexec/swift/lib/clang/*'
      ;;
    *) dpkg -x "$package" sysroot ;;
  esac
done
# Where the compiler looks for swiftrt.o.
ln -s ../libexec/swift/lib/swift sysroot/usr/lib/swift
ln -s ../libexec/swift/lib/swift_static sysroot/usr/lib/swift_static

# Debian leaves out a library that the Testing module names, which would hold an overlay for Foundation's types.
chroot sid /usr/libexec/swift/bin/clang --target=aarch64-linux-gnu -c -x c /dev/null -o /tmp/empty.o
chroot sid /usr/libexec/swift/bin/llvm-ar rc /tmp/empty.a /tmp/empty.o
mv sid/tmp/empty.a sysroot/usr/lib/aarch64-linux-gnu/lib_Testing_Foundation.a

version=$(dpkg-deb -f packages/swiftlang_*.deb Version | cut -d- -f1)
bundle=sdks/debian-arm64.artifactbundle
mkdir -p "$bundle/debian-arm64" sid/cross sid/src sid/shared build
cat >"$bundle/info.json" <<END
{"schemaVersion": "1.0", "artifacts": {"debian-arm64":
  {"type": "swiftSDK", "version": "$version", "variants": [{"path": "debian-arm64"}]}}}
END
cat >"$bundle/debian-arm64/swift-sdk.json" <<END
{"schemaVersion": "4.0", "targetTriples": {"aarch64-unknown-linux-gnu": {"sdkRootPath": "/cross/sysroot",
  "swiftResourcesPath": "/cross/sysroot/usr/libexec/swift/lib/swift",
  "swiftStaticResourcesPath": "/cross/sysroot/usr/libexec/swift/lib/swift_static", "toolsetPaths": ["toolset.json"]}}}
END
echo '{"schemaVersion": "1.0", "swiftCompiler": {"extraCLIOptions": ["-use-ld=lld"]}}' \
  >"$bundle/debian-arm64/toolset.json"
cp "$(command -v qemu-aarch64-static)" sid/usr/bin/
rm -rf packages cache
touch ready
