"""The frozen manifest: what was stored is read, and nothing else is believed or unpacked."""

import gzip
import hashlib
import json
import time
import tracemalloc

import pytest

from bec_operator.act.volumes.frozen import pack, unpack
from bec_operator.decide.volumes.volume_sites import SitedVolume, site_of
from bec_ops.contract.volume import Volume

VOLUMES = [
    Volume("W1", "I1"),
    Volume('bnf:"ཀ"', "I\u2028 2", "v\\1"),
    Volume("W3", "I3", "🙂" * 128),
]


def lines_of(volumes: list[Volume]) -> bytes:
    """Write lines as the first version of the operator did."""
    rows = ({"wId": v.w_id, "iId": v.i_id, "iVersion": v.i_version} for v in volumes)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def stored(lines: bytes) -> tuple[bytes, str]:
    return gzip.compress(lines, 6, mtime=0), hashlib.sha256(lines).hexdigest()


def test_what_is_packed_is_unpacked() -> None:
    volumes = [*VOLUMES, *(Volume(f"W{n}", f"I{n}") for n in range(5000))]
    digest, packed = pack(volumes)
    assert unpack(packed, digest, len(volumes)) == volumes
    assert digest == hashlib.sha256(gzip.decompress(packed)).hexdigest()


def test_sites_stand_in_lines_of_those_that_have_one() -> None:
    sited = [SitedVolume.at(VOLUMES[0], "cern"), *VOLUMES[1:]]
    digest, packed = pack(sited)
    found = unpack(packed, digest, len(sited))
    assert found == VOLUMES
    assert [site_of(volume) for volume in found] == ["cern", "", ""]
    lines = gzip.decompress(packed).decode().split("\n")
    assert lines[0] == '{"wId": "W1", "iId": "I1", "iVersion": "", "site": "cern"}'
    assert lines[1:] == lines_of(VOLUMES).decode().split("\n")[1:]
    assert pack(found) == (digest, packed)


@pytest.mark.parametrize("site", ["a b", 7, ["cern"], {"cern": 1}])
def test_what_is_no_site_is_no_volume(site: object) -> None:
    line = json.dumps({"wId": "W1", "iId": "I1", "iVersion": "", "site": site}) + "\n"
    packed, digest = stored(line.encode())
    with pytest.raises(ValueError, match="line 1 is no volume"):
        unpack(packed, digest, 1)


def test_a_manifest_of_an_older_version_is_read_and_is_the_same() -> None:
    packed, digest = stored(lines_of(VOLUMES))
    assert unpack(packed, digest, len(VOLUMES)) == VOLUMES
    assert pack(VOLUMES)[0] == digest


@pytest.mark.parametrize(
    ("lines", "total", "said"),
    [
        (lines_of(VOLUMES), 2, "has 3 volumes, and the ledger 2"),
        (lines_of(VOLUMES), 4, "has 3 volumes, and the ledger 4"),
        (b"[]\n", 1, "line 1 is no volume"),
        (b'{"wId": "W1", "iId": "I1"}\n', 1, "line 1 is no volume"),
        (b'{"wId": 1, "iId": "I1", "iVersion": ""}\n', 1, "line 1 is no volume"),
        (b'{"wId": "W\\n1", "iId": "I1", "iVersion": ""}\n', 1, "line 1 is no volume"),
        (lines_of(VOLUMES[:1]) + b"[" * 1000, 2, "line 2 is no volume"),
    ],
)
def test_what_the_ledger_cannot_mean_is_refused(lines: bytes, total: int, said: str) -> None:
    packed, digest = stored(lines)
    with pytest.raises(ValueError, match=said):
        unpack(packed, digest, total)


def test_other_lines_than_those_that_were_stored_are_not_looked_into() -> None:
    _, digest = stored(lines_of(VOLUMES))
    packed, _ = stored(b"[" * 3000)
    with pytest.raises(ValueError, match="its SHA-256 is not the one in the ledger"):
        unpack(packed, digest, 3)


def test_what_unpacks_to_very_much_more_is_not_unpacked() -> None:
    packed, digest = stored(b"\n" * 200_000_000)
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(ValueError, match="more than 5,100 bytes when unpacked"):
        unpack(packed, digest, 3)
    assert tracemalloc.get_traced_memory()[1] < 4_000_000
    tracemalloc.stop()
    assert time.process_time() - begun < 1
