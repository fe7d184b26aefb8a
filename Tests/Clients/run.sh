#!/usr/bin/env bash
# Real clients against the service and the shipped model: Tests/Clients/run.sh [NAME...], names as below.
# Installs what is missing into .venv-clients and, as root, with apt-get. With CI set, a client that cannot be had is a
# failure; elsewhere a line says that it is skipped.
set -euo pipefail
cd "$(dirname "$0")/../.."

binary=.build/release/occam-serve
[ -x "$binary" ] || { echo "no $binary: swift build -c release --product occam-serve" >&2; exit 1; }
failures=()
names=("$@")
known=(openai litellm anthropic curl haproxy activation page drills)
for name in "${names[@]}"; do
  [[ " ${known[*]} " == *" $name "* ]] || { echo "no client is named $name; there are: ${known[*]}" >&2; exit 2; }
done

# wanted NAME: whether it was asked for.
wanted() { [ ${#names[@]} -eq 0 ] || [[ " ${names[*]} " == *" $1 "* ]]; }

# missing NAME WHY
missing() {
  if [ -n "${CI:-}" ]; then
    echo "FAILED  $1: $2" >&2
    failures+=("$1")
  else
    echo "skipped $1: $2"
  fi
}

# has COMMAND PACKAGE...: installs the packages if the command is missing.
updated=
has() {
  command -v "$1" >/dev/null && return
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
  [ -n "$updated" ] || { apt-get update -qq && updated=1; } || return 1
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${@:2}" >/dev/null && hash -r &&
    command -v "$1" >/dev/null
}

# check NAME PYTHON ARGUMENT...
check() {
  printf -- '-- %s\n' "$1"
  local start=$SECONDS
  "${@:2}" || failures+=("$1")
  printf -- '-- %s: %s s\n' "$1" "$((SECONDS - start))"
}

# The page alone, against a server that plays the service: its policy, and every state that it can be in.
mocked_page() {
  python3 Tests/Page/csp.py --check || return
  local folder server url= status=0
  folder=$(mktemp -d)
  python3 Tests/Page/mock_server.py >"$folder/url" 2>"$folder/log" &
  server=$!
  for _ in $(seq 600); do
    read -r url <"$folder/url" && break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  [ -n "$url" ] || { echo "the mock says no address: $(cat "$folder/log")" >&2; status=1; }
  [ "$status" = 0 ] && {
    "$python" Tests/Page/drive.py "$url" "$folder/pictures" --mock --chromium "$(command -v chromium)" \
      --chromedriver "$(command -v chromedriver)" || status=1
  }
  kill "$server" 2>/dev/null || true
  wait "$server" 2>/dev/null || true
  rm -rf "$folder"
  return "$status"
}

has python3 python3 || { missing python "there is no python3"; exit $((${#failures[@]} > 0)); }
python=.venv-clients/bin/python
packages() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || has no-such-command python3-venv ||
    python3 -c 'import ensurepip, venv' || return 1
  [ -x "$python" ] || python3 -m venv .venv-clients || return 1
  "$python" -m pip install --quiet --disable-pip-version-check --requirement Tests/Clients/requirements.txt
}
has_packages=
for name in openai litellm anthropic page; do
  if wanted "$name" && [ -z "$has_packages" ]; then
    packages && has_packages=yes || has_packages=no
  fi
done

for name in openai litellm anthropic; do
  wanted "$name" || continue
  if [ "$has_packages" = yes ]; then
    check "$name" "$python" "Tests/Clients/${name}_client.py"
  else
    missing "$name" "the packages of Tests/Clients/requirements.txt cannot be installed"
  fi
done
if wanted curl; then
  if has curl curl; then check curl python3 Tests/Clients/curl_client.py; else missing curl "no curl"; fi
fi
if wanted haproxy; then
  if has haproxy haproxy; then check haproxy python3 Tests/Clients/haproxy.py; else missing haproxy "no haproxy"; fi
fi
if wanted activation; then
  has systemd-socket-activate systemd || missing activation "no systemd-socket-activate; the rest is checked"
  check activation python3 Tests/Clients/activation.py
fi
if wanted page; then
  if [ "$has_packages" = yes ] && has chromium chromium && has chromedriver chromium-driver; then
    check page "$python" Tests/Clients/page.py
    check "page (mock)" mocked_page
  else
    missing page "no chromium with its driver"
  fi
fi
if wanted drills; then check drills python3 Tests/Clients/drills.py; fi

[ ${#failures[@]} -eq 0 ] || { echo "failed: ${failures[*]}" >&2; exit 1; }
echo "all clients that are here passed"
