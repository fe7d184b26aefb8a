#!/usr/bin/env bash
# The tests for aarch64, on another machine by qemu (cross.sh).
#
#   Tests/arm64/run.sh [kernels] [answer] [all]      (default: kernels answer)
#
# kernels: the tests of every kernel set and of what is built on them, on a processor that has them all
# answer:  the main job on three processors, each of which must choose its own set
# all:     every test; takes hours
set -euo pipefail
cd "$(dirname "$0")/../.."

what=("$@")
((${#what[@]})) || what=(kernels answer)
folder=$(Tests/arm64/cross.sh build -c release --build-tests)
tests=$folder/OccamPackageTests.xctest

log=$(mktemp)
trap 'rm -f "$log"*' EXIT
suite() { Tests/arm64/cross.sh run "$tests" --testing-library swift-testing "$@"; }

# Runs the main job on processor $1, which must choose the set $2.
answer() {
  local said=$log.$1 answer
  answer=$(Tests/arm64/cross.sh run -c "$1" "$folder/occam-run" -m Models/scenes/scenes-Q8_0.gguf \
    --image Models/scenes/samples/000005.png -p "Which object is yellow?" --temp 0 -v 2>"$said")
  echo "$1: $(grep -o 'kernel [^,]*' "$said"), answer:$answer"
  if ! grep -q "kernel $2," "$said" || [ "${answer# }" != car ]; then
    cat "$said" >&2
    exit 1
  fi
}

for name in "${what[@]}"; do
  case $name in
    kernels) suite --filter QuantTests --filter TensorsTests ;;
    answer)
      answer cortex-a72 neon
      answer cortex-a76 neon-dot
      answer max neon-i8mm
      ;;
    all) CI=${CI:-1} suite ;;
    *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2 && exit 2 ;;
  esac
done
