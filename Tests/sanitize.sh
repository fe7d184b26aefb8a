#!/usr/bin/env bash
# Runs the suites that use threads, raw memory and parsers under a sanitizer: Tests/sanitize.sh thread|address [FILTER]
# In release, so that the kernels are the ones that ship and it takes minutes, with a build folder of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:-}
case $kind in
  thread) filter='CoreTests|MatmulTests|RequantizeTests|AttentionTests|AttentionScoresTests|LayerKVCacheTests|RowTests|OccamTests|GoldenTests|HTTPTests|ServiceTests' ;;
  address) filter='CoreTests|GGUFTests|ImagesTests|QuantTests|TensorsTests|PruningTests|OccamTests|EndToEndTests|HTTPTests|ServiceTests|GrammarTests|TokenizerTests|ModelsTests' ;;
  *) echo "usage: Tests/sanitize.sh thread|address [FILTER]" >&2; exit 2 ;;
esac
filter=${2:-$filter}

# The first finding ends the run with an error. Swift's own tables live as long as the process: they are no leaks.
export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
flags=()
# Swift code throws no C++ exceptions; preparing for them makes calls that unwind, which LLVM's intrinsics cannot be.
[ "$kind" = thread ] && flags=(-Xswiftc -Xllvm -Xswiftc -tsan-handle-cxx-exceptions=0)
swift test -c release --sanitize="$kind" --scratch-path ".build/$kind" "${flags[@]}" --filter "$filter"
