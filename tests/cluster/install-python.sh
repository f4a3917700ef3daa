#!/usr/bin/env bash
# Makes .venv with the pinned requirements and both distributions, editable.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=$(command -v python3.13 || command -v python3.12 || command -v python3)
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
  apt-get update -qq && apt-get install -y -qq python3-venv
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
uv_pin=$(grep -oE '^uv==[^ ]+' requirements/dev.txt)
[ -x .venv/bin/uv ] || .venv/bin/pip install --quiet "$uv_pin"
.venv/bin/uv pip install --quiet --require-hashes -r requirements/dev.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation -e worker_image -e .
