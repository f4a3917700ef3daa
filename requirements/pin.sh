#!/usr/bin/env bash
# Resolves the requirements files: the operator's, the worker's, the developer's (a superset), those
# of `bec-worker serve`, of programs that tests run in environments of their own, and those of the
# examples that need more than the worker image has.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
uv="$here/../.venv/bin/uv"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# bec-ops is ours and comes from the checkout, never from a registry.
grep -v '"bec-ops==' "$here/../pyproject.toml" >"$work/pyproject.toml"

pin() { # name, arguments of the resolver
  local name=$1
  shift
  # What is pinned stays as it is, as far as it may; UPGRADE=1 takes the newest of all.
  [ -n "${UPGRADE:-}" ] || ! [ -f "$here/$name.txt" ] || cp "$here/$name.txt" "$work/$name.txt"
  "$uv" pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
    --no-annotate --python-version 3.11 "$@" -o "$work/$name.txt"
  { echo "# Pinned, with hashes, by 'make pins'."; grep -v '^--' "$work/$name.txt"; } >"$here/$name.txt"
}
pin operator "$work/pyproject.toml" "$here/../worker_image/pyproject.toml"
pin dev -c "$work/operator.txt" --extra dev "$work/pyproject.toml"
echo "hatchling>=1.27" >"$work/build.in"
pin build -c "$work/dev.txt" "$work/build.in"
echo "moto[server]==5.2.5" >"$work/stores.in"
pin stores "$work/stores.in"
# Both clients of Data Dispatcher are called data_dispatcher: each has an environment of its own.
echo "datadispatcher-client==2.0.3" >"$work/data-dispatcher.in"
pin data-dispatcher "$work/data-dispatcher.in"
echo "datadispatcher==1.27.0" >"$work/data-dispatcher-1.in"
pin data-dispatcher-1 "$work/data-dispatcher-1.in"
pin worker -c "$work/operator.txt" "$here/../worker_image/pyproject.toml"
pin serve -c "$work/dev.txt" --extra grpc "$here/../worker_image/pyproject.toml"

pin_example() { # name of its folder, packages
  local name=$1
  shift
  printf '%s\n' "$@" >"$work/$name.in"
  pin "$name" -c "$work/dev.txt" "$work/$name.in"
  mv "$here/$name.txt" "$here/../examples/$name/requirements.txt"
}
pin_example line_detection numpy pillow
pin_example ocr pillow
