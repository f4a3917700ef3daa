"""The commands `bec-operator enrol` and `outsiders`: let workers in from elsewhere; see who is."""

import argparse
import asyncio
import os
import re
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import aiohttp

from bec_operator.act.ground.api_server import ApiError, ApiServer, Body, core
from bec_operator.act.ground.enrolled import Enrolled, Enrolment
from bec_operator.act.kube.enrolled import ENROLMENT, OUTSIDE_LABEL, enrolled_of

_SPAN = re.compile(r"([1-9][0-9]{0,4})([dh])")
_HERE = "BEC_OPERATOR_OWN_NAMESPACE"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to those that there are."""
    enrol = commands.add_parser(
        "enrol",
        help="make a token by which workers come in from elsewhere",
        description="Makes an enrolment, a Secret, and prints its token: by it workers register, "
        "`bec-worker register`. Delete the Secret, and none of them is known any more.",
    )
    enrol.add_argument("name", help="of the Secret that is made, such as desks-of-the-library")
    enrol.add_argument("--jobs-of", action="append", required=True, metavar="NAMESPACE",
                       help="whose Jobs they may have volumes of; * stands for all")  # fmt: skip
    enrol.add_argument("--jobs", action="append", metavar="NAME",
                       help="only of these Jobs; a name may have * in it")  # fmt: skip
    enrol.add_argument("--sites", action="append", metavar="SITE",
                       help="they may only say that they are there")  # fmt: skip
    enrol.add_argument("--expires", metavar="30d", help="when all of it ends: so many days, d, or "
                       "hours, h; else never")  # fmt: skip
    enrol.add_argument("--uses", type=int, metavar="N", help="so many workers, and no more")
    enrol.set_defaults(do=_enrol)
    outsiders = commands.add_parser(
        "outsiders", help="list the enrolments, and the workers that have come in by each"
    )
    outsiders.set_defaults(do=_outsiders)
    for command in (enrol, outsiders):
        command.add_argument("--namespace", default=os.environ.get(_HERE), metavar="NAMESPACE",
                             help="the operator's own; in its pod that is known")  # fmt: skip


def _enrol(given: argparse.Namespace) -> int:
    token = secrets.token_urlsafe(32)
    terms = {
        "token": token,
        "namespaces": " ".join(given.jobs_of),
        "jobs": " ".join(given.jobs or ()),
        "sites": " ".join(given.sites or ()),
        "expires": _moment(given.expires) if given.expires else "",
        "uses": str(given.uses) if given.uses is not None else "",
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": given.name, "labels": {OUTSIDE_LABEL: ENROLMENT}},
        "stringData": {key: value for key, value in terms.items() if value},
    }

    async def make(api: ApiServer) -> None:
        made = enrolled_of(await api.request("POST", core(given.namespace, "secrets"), secret))
        problem = made.problem if isinstance(made, Enrolment) else ""
        sys.stderr.write(f"enrolment {given.name} is made{': ' * bool(problem)}{problem}\n")
        sys.stdout.write(f"{token}\n")

    return _ask("enrol", given, make)


def _outsiders(given: argparse.Namespace) -> int:
    async def show(api: ApiServer) -> None:
        path = core(given.namespace, "secrets")
        found: Body = await api.request("GET", path, query={"labelSelector": OUTSIDE_LABEL})
        records = [enrolled_of(item) for item in found["items"]]
        for enrolment in (each for each in records if isinstance(each, Enrolment)):
            sys.stdout.write(f"{_told(enrolment)}\n")
            for worker in (each for each in records if isinstance(each, Enrolled)):
                if worker.enrolment_uid == enrolment.uid:
                    sys.stdout.write(f"  {worker.worker_id}  (Secret {worker.name})\n")

    return _ask("outsiders", given, show)


def _told(enrolment: Enrolment) -> str:
    """Return an enrolment in a line, without its token."""
    if enrolment.problem:
        return f"{enrolment.name}: nobody comes in by it: {enrolment.problem}"
    scope = enrolment.scope
    uses = f"{enrolment.used} of {enrolment.uses}" if enrolment.uses else f"{enrolment.used}"
    until = datetime.fromtimestamp(scope.expires, UTC).isoformat() if scope.expires else "never"
    return (
        f"{enrolment.name}: namespaces {' '.join(scope.namespaces)}, jobs {' '.join(scope.jobs)}, "
        f"sites {' '.join(scope.sites) or 'any'}, workers {uses}, ends {until}"
    )


def _moment(span: str) -> str:
    found = _SPAN.fullmatch(span)
    if found is None:
        sys.stderr.write(f"bec-operator enrol: --expires {span!r}: write 30d or 12h\n")
        raise SystemExit(2)
    length = timedelta(**{"days" if found[2] == "d" else "hours": int(found[1])})
    return (datetime.now(UTC) + length).isoformat(timespec="seconds")


def _ask(
    command: str, given: argparse.Namespace, do: Callable[[ApiServer], Awaitable[None]]
) -> int:
    """Do what needs the API server, and return the exit code."""

    async def ask() -> None:
        api = await ApiServer.connect()
        try:
            await do(api)
        finally:
            await api.close()

    if not given.namespace:
        said = "name the operator's own namespace: --namespace NAMESPACE"
        sys.stderr.write(f"bec-operator {command}: {said}\n")
        return 2
    try:
        asyncio.run(ask())
    except (ApiError, aiohttp.ClientError, TimeoutError) as error:
        sys.stderr.write(f"bec-operator {command}: {error or 'the API server does not answer'}\n")
        return 1
    return 0
