#!/usr/bin/env bash
# Builds and runs for aarch64 on another machine (environment.sh makes what that needs).
#
#   cross.sh build FLAGS... [-- PRODUCT...]   swift build for aarch64; without products what the flags say. Prints the folder
#                                             of what it built.
#   cross.sh run [-c CPU] PROGRAM...          a built program by qemu, from the package's root; CPU: max, cortex-a76, ...
#   cross.sh shell COMMAND...                 anything in the root that holds the compiler; the package lies at /src
set -euo pipefail
cd "$(dirname "$0")/../.."
Tests/arm64/environment.sh >&2
here=$PWD/.build-arm64

# A mount namespace of its own: the mounts end with the command.
inside() {
  local shared=${OCCAM_SHARED:-$PWD/../shared}
  unshare --mount --propagation private bash -c '
    here=$1 src=$2 shared=$3
    shift 3
    mount -t proc proc "$here/sid/proc"
    mount --rbind /dev "$here/sid/dev"
    mount --bind "$here" "$here/sid/cross"
    mount --bind "$src" "$here/sid/src"
    [ ! -d "$shared" ] || mount --bind "$shared" "$here/sid/shared"
    exec chroot "$here/sid" /usr/bin/env -i HOME=/root PATH=/usr/bin:/bin OCCAM_TARGET_ARCH=aarch64 \
      ${CI:+CI="$CI"} ${OCCAM_KERNEL:+OCCAM_KERNEL="$OCCAM_KERNEL"} OCCAM_VOCABS=/shared/vocabs \
      OCCAM_INPUTS=/shared/inputs bash -c "cd /src && exec \"\$@\"" bash "$@"
  ' bash "$here" "$PWD" "$shared" "$@"
}

build() {
  local flags=() products=()
  while (($#)) && [ "$1" != -- ]; do flags+=("$1") && shift; done
  (($#)) && shift
  products=("$@")
  local command=(swift build --swift-sdks-path /cross/sdks --swift-sdk debian-arm64)
  # Static tools in a folder of their own: their flags would have everything built anew each time.
  case " ${flags[*]} " in
    *" --static-swift-stdlib "*) command+=(--scratch-path /cross/build/static) ;;
    *) command+=(--scratch-path /cross/build/dynamic) ;;
  esac
  if ((${#products[@]})); then
    # SwiftPM takes the last --product only.
    for product in "${products[@]}"; do inside "${command[@]}" "${flags[@]}" --product "$product" >&2; done
  else
    inside "${command[@]}" "${flags[@]}" >&2
  fi
  local folder
  folder=$(inside "${command[@]}" "${flags[@]}" --show-bin-path | tail -1)
  echo "$here/${folder#/cross/}"
}

run() {
  local cpu=max
  [ "$1" = -c ] && cpu=$2 && shift 2
  local program=$1
  shift
  # Inside, what was built lies below /cross.
  program=/cross${program#"$here"}
  local qemu=(/usr/bin/qemu-aarch64-static -cpu "$cpu" -L /cross/sysroot
    -E LD_LIBRARY_PATH=/usr/libexec/swift/lib/swift/linux)
  # Tools that a test starts are run the same way.
  inside env OCCAM_TEST_RUNNER="${qemu[*]}" "${qemu[@]}" "$program" "$@"
}

case ${1:-} in
  build) shift && build "$@" ;;
  run) shift && run "$@" ;;
  shell) shift && inside "$@" ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2 && exit 2 ;;
esac
