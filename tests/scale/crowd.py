"""Many Jobs that are made, changed and deleted by chance, and what each of them has to come to."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mypy_boto3_s3 import S3Client

from bec_operator.act.ground.api_server import bec, core
from bec_ops.contract.volume import Volume
from tests.scale.faults import HOPELESS, lasting_faults
from tests.scale.sides import BUCKET, JOBS, NAMESPACE, POD
from tests.support.jobs import LiveJob, config_map, csv, job, manifest
from tests.support.kube import Body, Kube, KubeError

KEY = "volumes.csv"


@dataclass
class Member:
    """One Job: its list of volumes, and where that lies."""

    name: str
    job_id: str
    volumes: list[Volume]
    in_s3: bool
    hopeless: bool
    suspended: bool = False

    @property
    def failing(self) -> int:
        """How many of its volumes fail for good."""
        return len(lasting_faults(self.job_id, self.volumes))

    def spec(self) -> Body:
        """Return the Job. One that is hopeless gives up early."""
        key = f"lists/{self.job_id}.csv"
        source = manifest(BUCKET, key) if self.in_s3 else config_map(self.name, KEY)
        few = {"maxFailed": 10} if self.hopeless else {}
        return job(
            self.name,
            BUCKET,
            source,
            jobId=self.job_id,
            worker={"template": {"spec": POD}},
            **few,
        )


@dataclass
class Crowd:
    """So many Jobs, every tenth of which is small, so that some end; `chance` decides the rest."""

    kube: Kube
    s3: S3Client
    chance: random.Random
    jobs: int
    volumes: int
    members: dict[str, Member] = field(default_factory=dict)

    def make(self, round_number: int) -> None:
        """Make them all; in each round they have the same names, and volumes of their own."""
        for number in range(self.jobs):
            name = f"soak-{number}"
            size = self.volumes if number % 10 else max(self.volumes // 20, 1)
            hopeless = number % 17 == 5
            job_id = f"{HOPELESS if hopeless else name}-{number}-{round_number}"
            volumes = [Volume(f"W{number}", f"I{index:05}") for index in range(size)]
            member = Member(name, job_id, volumes, number % 2 == 0, hopeless)
            self.members[name] = member
            self._store(member, new=True)
            self.kube.create(JOBS, member.spec())

    def clear(self) -> None:
        """Delete them all, and their lists."""
        for member in self.members.values():
            self.kube.delete(bec(NAMESPACE, "jobs", member.name))
            if not member.in_s3:
                self.kube.delete(core(NAMESPACE, "configmaps", member.name))
        self.members.clear()

    def calm(self) -> None:
        """Let each of them go on, none before the others."""
        for member in self.members.values():
            member.suspended = False
            LiveJob(self.kube, NAMESPACE, member.name).patch(suspend=False, priority=0)

    def meddle(self) -> str:
        """Do something to one of them, and say what."""
        deeds: dict[Callable[[Member], str], int] = {
            self._grow: 3, self._edit: 3, self._switch: 3, self._retry: 1, self._replace: 1
        }  # fmt: skip
        (deed,) = self.chance.choices(list(deeds), list(deeds.values()))
        member = self.chance.choice(list(self.members.values()))
        try:
            return f"{member.name} {deed(member)}"
        except KubeError as error:
            if error.code != 409:  # the operator was faster with another change
                raise
            return f"{member.name} could not be changed: {error}"

    def _grow(self, member: Member) -> str:
        first = len(member.volumes)
        work = member.volumes[0].w_id
        count = self.chance.randint(1, 50)
        member.volumes += [Volume(work, f"I{first + index:05}") for index in range(count)]
        self._store(member)
        return f"gets {count} volumes more"

    def _edit(self, member: Member) -> str:
        env = [{"name": "EDITED", "value": str(self.chance.random())}]
        pod = {**POD, "containers": [{**POD["containers"][0], "env": env}]}
        wanted = {
            "worker": {"template": {"spec": pod}},
            "parallelism": self.chance.randint(10, 100),
            "priority": self.chance.choice((0, 0, 5)),
        }
        name = self.chance.choice(list(wanted))
        LiveJob(self.kube, NAMESPACE, member.name).patch(**{name: wanted[name]})
        return f"has another {name}"

    def _switch(self, member: Member) -> str:
        member.suspended = not member.suspended
        mode = self.chance.choice(("Finish", "Stop"))
        live = LiveJob(self.kube, NAMESPACE, member.name)
        live.patch(suspend=member.suspended, suspendMode=mode)
        return f"is suspended: {mode}" if member.suspended else "goes on"

    def _retry(self, member: Member) -> str:
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        LiveJob(self.kube, NAMESPACE, member.name).patch(retryFailedAt=moment)
        return "tries again what has failed"

    def _replace(self, member: Member) -> str:
        self.kube.delete(bec(NAMESPACE, "jobs", member.name))
        member.suspended = False
        self.kube.create(JOBS, member.spec())
        return "is deleted and made again"

    def _store(self, member: Member, *, new: bool = False) -> None:
        body = csv(member.volumes)
        if member.in_s3:
            self.s3.put_object(Bucket=BUCKET, Key=f"lists/{member.job_id}.csv", Body=body)
            return
        content = {"data": {KEY: body.decode()}}
        if new:
            meta = {"metadata": {"name": member.name}}
            listed = {"apiVersion": "v1", "kind": "ConfigMap", **meta, **content}
            self.kube.create(core(NAMESPACE, "configmaps"), listed)
        else:
            self.kube.patch(core(NAMESPACE, "configmaps", member.name), content)
