#!/usr/bin/env bash
# Makes .venv with the pinned requirements and both distributions, editable.
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v python3 >/dev/null; then
  apt-get update -qq && apt-get install -y -qq python3 python3-venv
fi
python=
for candidate in python3 python3.13 python3.12 python3.11; do
  # It has to run, not only to be there: a version manager's stand-in may not.
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "python3 is older than 3.11: use Debian 12 or newer, or put a newer one on the PATH" >&2
  exit 1
fi
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  apt-get update -qq && apt-get install -y -qq python3-venv
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
uv_pin=$(grep -oE '^uv==[^ ]+' requirements/dev.txt)
[ -x .venv/bin/uv ] || .venv/bin/pip install --quiet "$uv_pin"
.venv/bin/uv pip install --quiet --require-hashes -r requirements/dev.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation -e worker_image -e .
