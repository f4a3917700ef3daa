"""Bad input that only the operator can see: the Job says what is wrong, and heals by itself.

All bad Jobs stand side by side in one namespace, so that all wait, and all heal, at the same time.
Some are public cases: of lists `whitfin/s3-concat#3` and `nf-core/scrnaseq#510` (joined exports),
`terascope/teraslice#3595` and `fluxcd/source-controller#901` (`list-huge`); `parameters-long` is
`tektoncd/pipeline#8398` and `argoproj/argo-workflows#15471`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import core
from bec_ops.contract.volume import Volume
from tests.cluster import Cluster
from tests.support.jobs import (
    TEMPLATE,
    LiveJob,
    config_map,
    items,
    job,
    manifest,
    numbered,
)
from tests.support.kube import Body, Kube
from tests.support.space import Space, new_space
from tests.support.workers import Workers

pytestmark = pytest.mark.usefixtures("operator")

GOOD = b"W1,I1,v1\nW1,I2,v1\n"


@dataclass(frozen=True)
class Case:
    """A bad Job: `spec` makes it from its name, `cure` takes the cause away."""

    reason: str
    says: tuple[str, ...]
    spec: Callable[[str, Space], Body]
    cure: Callable[[Space, LiveJob], None]


def bad_list(reason: str, body: bytes | None, *says: str) -> Case:
    """Return the case of a list in S3 with this content; None is no list at all."""

    def spec(name: str, space: Space) -> Body:
        if body is not None:
            space.put(f"{name}.csv", body)
        return job(name, space.bucket, manifest(space.bucket, f"{name}.csv"))

    def cure(space: Space, live: LiveJob) -> None:
        space.put(f"{live.name}.csv", GOOD)

    return Case(reason, says, spec, cure)


def bad_items(volumes: list[Body], *says: str) -> Case:
    """Return the case of volumes in the Job itself, of which the last one is bad."""
    return Case(
        "InvalidManifest",
        says,
        lambda name, space: job(name, space.bucket, {"items": volumes}),
        lambda _, live: live.patch(volumes={"items": [volumes[0], {**volumes[0], "iId": "I2"}]}),
    )


def worker_with(pages: str) -> Body:
    """Return a worker with a parameter."""
    return {"template": TEMPLATE, "parameters": {"pages": pages}}


def huge_list(name: str, space: Space) -> Body:
    space.put(f"{name}.csv", b"y\n" * 65_000_000)
    return job(name, space.bucket, manifest(space.bucket, f"{name}.csv"))


def bad_template(template: Body, *says: str) -> Case:
    """Return the case of a pod template that the API server would refuse."""
    return Case(
        "TemplateRejected",
        ("spec.worker.template makes no valid pod", *says),
        lambda name, space: job(name, space.bucket, numbered(2), worker={"template": template}),
        lambda _, live: live.patch(worker={"template": TEMPLATE}),
    )


def container(**more: object) -> Body:
    return {"spec": {"containers": [{"name": "worker", "image": "x", **more}]}}


def map_source(key: str) -> Callable[[str, Space], Body]:
    return lambda name, space: job(name, space.bucket, config_map(name, key))


def map_without_key(name: str, space: Space) -> Body:
    space.put_config_map(name, data={"txt": "W1,I1"})
    return map_source("csv")(name, space)


def put_map(space: Space, live: LiveJob) -> None:
    space.put_config_map(live.name, data={"csv": GOOD.decode()})


def add_key(space: Space, live: LiveJob) -> None:
    path = core(space.namespace, "configmaps", live.name)
    space.kube.patch(path, {"data": {"csv": GOOD.decode()}})


def other_bucket(name: str, space: Space) -> str:
    return f"{space.bucket}-{name}"


def make_bucket(space: Space, live: LiveJob) -> None:
    space.s3.create_bucket(Bucket=other_bucket(live.name, space))


def make_bucket_with_list(space: Space, live: LiveJob) -> None:
    make_bucket(space, live)
    space.s3.put_object(Bucket=other_bucket(live.name, space), Key="a.csv", Body=GOOD)


def make_service_account(space: Space, live: LiveJob) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": live.name}}
    space.kube.create(core(space.namespace, "serviceaccounts"), account)


def give_good_items(space: Space, live: LiveJob) -> None:
    del space
    live.patch(volumes=items([Volume("W1", "I1"), Volume("W1", "I2")]))


CASES: dict[str, Case] = {
    "list-missing": bad_list("ManifestNotFound", None, "there is no object s3://", "put the list"),
    "list-binary": bad_list("InvalidManifest", b"W1,I1\n\x89PNG\0\0", "line 2", "not text"),
    "list-latin1": bad_list("InvalidManifest", "W1,Ié\n".encode("latin-1"), "not text in UTF-8"),
    "list-bad-line": bad_list("InvalidManifest", b"# ids\nW1,I1\nW1\n", "line 3", "1 column(s)"),
    "list-twice": bad_list(
        "InvalidManifest", b"W1,I1\nW1,I2\n\nW1,I1\n", "line 4", "stands in line 1 already"
    ),
    "list-empty": bad_list("InvalidManifest", b"# nothing yet\n", "names no volume"),
    "list-control": bad_list("InvalidManifest", b"W1,I\x07\n", "line 1", "U+0007"),
    "list-joined": bad_list(
        "InvalidManifest",
        b"\xef\xbb\xbfi_id,w_id\r\nI1,W1\r\n\xef\xbb\xbfW1,I2\r\n",
        "line 3",
        "here begins another file",
    ),
    "list-unknown-header": bad_list(
        "InvalidManifest",
        b"work,volume,version\nW1,I1,v1\n",
        "line 1: this looks like a header",
        "write w_id,i_id,i_version if that is meant",
    ),
    "list-unseen": bad_list(
        "InvalidManifest", "W1,I1\r\nW1,I\u200b2\r\n".encode(), "line 2", "U+200B", "take it out"
    ),
    "list-misspelt": bad_list(
        "InvalidManifest",
        b'{"wId": "W1", "iId": "I1"}\n{"wId": "W1", "volume": "I2"}\n',
        "line 2: unknown key 'volume', write iId if that is meant",
    ),
    "items-twice": bad_items(
        [{"wId": "W1", "iId": "I1"}, {"wId": "W1", "iId": "I1", "iVersion": ""}],
        "spec.volumes.items[1]: the volume W1/I1 is items[0] already",
    ),
    "items-unseen": bad_items(
        [{"wId": "W1", "iId": "I1"}, {"wId": "W1\ufeff", "iId": "I2"}],
        "spec.volumes.items[1]: w_id: ",
        "U+FEFF",
    ),
    "parameters-long": Case(
        "InvalidSpec",
        ("spec.worker.parameters", "they have 140013 bytes as JSON, and 102400 is the limit"),
        lambda name, space: job(name, space.bucket, numbered(2), worker=worker_with("x" * 140_000)),
        lambda _, live: live.patch(worker=worker_with("1-9")),
    ),
    "list-deep": bad_list(
        "InvalidManifest", b'{"wId": "W1", "iId": "I1"}\n' + b"[" * 60_000, "line 2", "too deep"
    ),
    "list-huge": Case(
        "InvalidManifest",
        ("has 130,000,000 bytes; at most 128,000,000", "is it a list of volumes?"),
        huge_list,
        lambda space, live: space.put(f"{live.name}.csv", GOOD),
    ),
    "list-bucket-missing": Case(
        "ManifestNotFound",
        ("does not exist",),
        lambda name, space: job(name, space.bucket, manifest(other_bucket(name, space), "a.csv")),
        make_bucket_with_list,
    ),
    "map-missing": Case(
        "ConfigMapNotFound", ("no ConfigMap map-missing",), map_source("csv"), put_map
    ),
    "map-without-key": Case(
        "ConfigMapNotFound",
        ("has no key csv", "it has: txt"),
        map_without_key,
        add_key,
    ),
    "bucket-missing": Case(
        "BucketNotFound",
        ("bucket-missing does not exist",),
        lambda name, space: job(name, other_bucket(name, space), numbered(2)),
        make_bucket,
    ),
    "version-without-place": Case(
        "InvalidOutput",
        ("has a version, but", "add {i_version}"),
        lambda name, space: job(
            name,
            space.bucket,
            numbered(2),
            output={"bucket": space.bucket, "prefix": "a/{job_id}/{w_id}-{i_id}/"},
        ),
        give_good_items,
    ),
    "quantity": bad_template(
        container(resources={"requests": {"memory": "much"}}), "quantities must match"
    ),
    "port": bad_template(container(ports=[{"containerPort": 99999}]), "containerPort"),
    "no-image": bad_template(container(image=""), "image"),
    "service-account": Case(
        "TemplateRejected",
        ("serviceaccount", "not found"),
        lambda name, space: job(
            name,
            space.bucket,
            numbered(2),
            worker={"template": {"spec": {**TEMPLATE["spec"], "serviceAccountName": name}}},
        ),
        make_service_account,
    ),
}


@pytest.fixture(scope="module")
def place(cluster: Cluster, kube: Kube, client: S3Client) -> Iterator[Space]:
    with new_space(cluster, kube, client) as space:
        yield space


@pytest.fixture(scope="module")
def crew(kube: Kube, client: S3Client, place: Space, node: str) -> Iterator[Workers]:
    with Workers(kube, client, place.namespace, node) as workers:
        yield workers


@pytest.fixture(scope="module")
def bad_jobs(place: Space, crew: Workers) -> dict[str, LiveJob]:
    """All bad Jobs, just submitted."""
    del crew  # plays the pods that should not be there
    return {name: place.submit(case.spec(name, place)) for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_is_wrong(bad_jobs: dict[str, LiveJob], crew: Workers, name: str) -> None:
    case, live = CASES[name], bad_jobs[name]
    message = live.wait_stalled(case.reason)
    for words in case.says:
        assert words in message
    assert not [run for run in crew.runs.all() if run.pod.job == name]


@pytest.fixture(scope="module")
def cured_jobs(place: Space, bad_jobs: dict[str, LiveJob]) -> dict[str, LiveJob]:
    """The same, when the causes have just gone."""
    for name, case in CASES.items():
        case.cure(place, bad_jobs[name])
    return bad_jobs


@pytest.mark.parametrize("name", CASES)
def test_it_heals_by_itself(cured_jobs: dict[str, LiveJob], name: str) -> None:
    found = cured_jobs[name].wait_complete()
    assert found["status"]["counts"]["succeeded"] == 2


@pytest.mark.parametrize(
    ("prefix", "says"),
    [
        ("a/{job_id}/{w_id}{i_id}/", "two volumes could get the same place"),
        ("a/{job_id}/{w_id}-{i_id}-{model}/", "unknown placeholder {model}"),
        ("a//{job_id}/{w_id}-{i_id}/", "holds '//'"),
        ("a/../{job_id}/{w_id}-{i_id}/", "holds the component '..'"),
        ("{i_version}/{job_id}/{w_id}-{i_id}/", "{i_version} before all other placeholders"),
    ],
)
def test_a_prefix_that_leads_astray(space: Space, prefix: str, says: str) -> None:
    live = space.submit(
        job("astray", space.bucket, numbered(1), output={"bucket": space.bucket, "prefix": prefix})
    )
    message = live.wait_stalled("InvalidOutput")
    assert says in message
    assert "spec.output.prefix" in message


def test_reports_that_belong_to_no_job(space: Space) -> None:
    output = {"bucket": space.bucket, "reports": "reports/"}
    live = space.submit(job("reports", space.bucket, numbered(1), output=output))
    assert "{job_id}" in live.wait_stalled("InvalidOutput")
