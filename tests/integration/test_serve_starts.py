"""What `bec-worker serve` says of its configuration, and how TLS keeps strangers away."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from tests.cluster.pki import Authority
from tests.support.schedulers import PATIENCE, SchedulerCalls
from tests.support.served import Served


def refused(served: Served) -> str:
    """Start a worker that cannot run, and return what it says of that."""
    process = served.begin()
    assert process.wait(PATIENCE) == 78, served.log
    return served.log


def test_a_clear_port_for_others_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    served = Served(tmp_path, {"grpc_server": {"addr": "0.0.0.0:30111"}})
    assert "write use_tls = true" in refused(served)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    served = Served(tmp_path)
    (tmp_path / "worker/config.toml").unlink()
    assert "worker/config.toml cannot be read: No such file or directory" in refused(served)


def test_two_workers_do_not_share_a_folder(tmp_path: Path) -> None:
    with Served(tmp_path / "one") as one:
        limits = {"folder": str(one.jobs)}
        assert "another worker uses it" in refused(Served(tmp_path / "two", {"limits": limits}))


def test_two_workers_do_not_share_an_address(tmp_path: Path) -> None:
    with Served(tmp_path / "one") as one:
        listening = {"addr": one.address}
        other = Served(tmp_path / "two", {"grpc_server": listening})
        assert f"addr {one.address} cannot be listened at" in refused(other)


def test_an_unchanged_file_starts_nothing_until_the_owner_lists_it(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        pass
    served.write_toml(
        {
            "grpc_server": {
                "addr": served.address,
                "use_tls": False,
                "crt_file": "server.pem",
                "key_file": "server.key",
            },
            "scheduler": {"addr": ""},
        }
    )
    with served:
        assert "[limits] commands lists nothing" in served.log
        with pytest.raises(grpc.RpcError, match="is not allowed on this machine"):
            SchedulerCalls(served.address).start("sh", "")


def test_with_tls_both_sides_are_who_they_say(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    worker = authority.issue("worker", "worker", (), "127.0.0.1")
    scheduler = authority.issue("scheduler", "scheduler")
    listening = {
        "use_tls": True,
        "crt_file": str(worker.certificate),
        "key_file": str(worker.key),
        "client_ca_file": str(authority.certificate),
    }
    with Served(tmp_path / "served", {"grpc_server": listening}) as served:
        root = authority.certificate.read_bytes()
        known = grpc.ssl_channel_credentials(
            root, scheduler.key.read_bytes(), scheduler.certificate.read_bytes()
        )
        calls = SchedulerCalls(served.address, known)
        job_id = calls.start("sh", served.script("echo over TLS"))
        assert calls.output(job_id) == "over TLS\n"
        for stranger in (None, grpc.ssl_channel_credentials(root)):
            with pytest.raises(grpc.RpcError) as error:
                SchedulerCalls(served.address, stranger).query(job_id)
            assert isinstance(error.value, grpc.Call)
            assert error.value.code() is grpc.StatusCode.UNAVAILABLE


def test_with_tls_alone_callers_need_no_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    worker = authority.issue("worker", "worker", (), "127.0.0.1")
    listening = {
        "use_tls": True,
        "crt_file": str(worker.certificate),
        "key_file": str(worker.key),
    }
    with Served(tmp_path / "served", {"grpc_server": listening}) as served:
        credentials = grpc.ssl_channel_credentials(authority.certificate.read_bytes())
        calls = SchedulerCalls(served.address, credentials)
        assert not calls.end(calls.start("sh", served.script("exit 0"))).error


def test_a_certificate_that_is_not_there_is_told(tmp_path: Path) -> None:
    listening = {"use_tls": True, "crt_file": "server.pem", "key_file": "server.key"}
    said = refused(Served(tmp_path, {"grpc_server": listening}))
    assert "[grpc_server] key_file server.key: No such file or directory" in said


def test_files_that_do_not_belong_together_are_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    worker = authority.issue("worker", "worker", (), "127.0.0.1")
    other = authority.issue("other", "other", (), "127.0.0.1")
    for key in (other.key, worker.certificate):
        listening = {"use_tls": True, "crt_file": str(worker.certificate), "key_file": str(key)}
        said = refused(Served(tmp_path / "served", {"grpc_server": listening}))
        assert "are no certificate and its key: write files in PEM that belong together" in said


def test_without_grpc_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['grpc'] = None; import bec_ops.program.command as c; c.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "serve"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 78
    assert done.stderr == "bec-worker serve needs gRPC: pip install 'bec-ops[grpc]'\n"
