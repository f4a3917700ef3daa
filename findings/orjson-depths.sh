#!/usr/bin/env bash
# orjson 3.13.0: it reads 1,024 levels of nesting, and writes 254 of them.
#
# So what it has read it may refuse to write again, with the values untouched: a proxy, a cache, or
# an operator that reads an object of Kubernetes, changes a field, and sends it back. The API server
# of Kubernetes takes 10,000 levels (as Go's encoding/json does) where a CRD preserves unknown fields.
#
# Seen: orjson 3.13.0 on Python 3.11:
#   reads 1024 levels, not 1025 (JSONDecodeError); writes 254 levels, not 255 (TypeError)
#   json of the standard library, for comparison: what it reads it writes
# Consequence for us: free JSON of a Job has 100 levels at most, and what is read of one that is
# deeper is cut at 200 (`act/ground/deep_json.py`), so that it can be written.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet orjson==3.13.0
cat > "$folder/look.py" <<'PYTHON'
import json

import orjson


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def text(levels):
    return '{"a":' * levels + "1" + "}" * levels


def works(call, *given):
    try:
        call(*given)
    except (orjson.JSONDecodeError, TypeError) as error:
        return type(error).__name__
    return "ok"


reads = [works(orjson.loads, text(levels)) for levels in (1024, 1025)]
writes = [works(orjson.dumps, nested(levels)) for levels in (254, 255)]
again = works(orjson.dumps, orjson.loads(text(300)))
print(f"reads 1024, 1025: {reads}; writes 254, 255: {writes}; 300 levels read and written: {again}")
assert reads == ["ok", "JSONDecodeError"], reads
assert writes == ["ok", "TypeError"], writes
assert again == "TypeError", again
assert json.loads(json.dumps(json.loads(text(300)))) == nested(300)
PYTHON
"$folder/venv/bin/python" "$folder/look.py"
echo "as it was seen"
