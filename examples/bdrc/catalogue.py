"""Brings the catalogue's PostgreSQL into a local cluster, tells the operator of it, and asks it."""

import json
import secrets
from pathlib import Path
from typing import LiteralString

from examples import deploy
from tests.cluster import Cluster

HERE = Path(__file__).parent
NAMESPACE = "library"
"""Of the database; Jobs are in others."""
DATABASE = "library"
CONNECTIONS = {"catalogue": "reader", "results": "writer"}
"""The connections of the operator's chart, and whom each is to the database."""

_POSTGRES = ("-n", NAMESPACE, "exec", "-i", "deployment/postgres", "--")


def install(cluster: Cluster) -> None:
    """Run PostgreSQL with the catalogue in it, and write the Secrets of the connections.

    The operator is told by `values`; once it is there, `migrate` makes the tables of results.
    """
    deploy.add_namespace(cluster, NAMESPACE)
    deploy.add_namespace(cluster, deploy.OPERATOR_NAMESPACE)
    _make_passwords(cluster)
    cluster.kubectl("apply", "-f", str(HERE / "postgres.yaml"))
    where = ("-n", NAMESPACE, "deployment/postgres", "--timeout=120s")
    cluster.kubectl("rollout", "status", *where)
    psql = ("psql", "--quiet", "--no-psqlrc", "--file=-")
    cluster.kubectl(*_POSTGRES, *psql, input=(HERE / "catalogue.sql").read_text())


def values(namespace: str, *more: dict[str, object]) -> str:
    """Return the argument of `helm` with which the Jobs of a namespace may use the connections.

    `more` are further ones, as they stand in the values.
    """
    known = [
        {"name": name, "kind": "sql", "secret": name, "namespaces": [namespace]}
        for name in CONNECTIONS
    ]
    return f"--set-json=connections={json.dumps([*known, *more])}"


def migrate(cluster: Cluster) -> str:
    """Make the tables of results, or bring them up to date, and return what was said."""
    operator = ("-n", deploy.OPERATOR_NAMESPACE, "exec", "deployment/bec-operator", "--")
    return cluster.kubectl(*operator, "bec-operator", "migrate", "--connection", "results")


def ask(cluster: Cluster, query: LiteralString, *options: str) -> str:
    """Return what psql prints of a query."""
    psql = ("psql", "--no-psqlrc", f"--dbname={DATABASE}", *options, f"--command={query}")
    return cluster.kubectl(*_POSTGRES, *psql)


def write_secret(cluster: Cluster, namespace: str, name: str, entries: dict[str, str]) -> None:
    """Write a Secret, in place of one that is there."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "stringData": entries,
    }
    cluster.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(secret))


def _make_passwords(cluster: Cluster) -> None:
    """Write the Secrets where there are none: the database keeps to the passwords that it has."""
    if cluster.kubectl("-n", NAMESPACE, "get", "secret", "postgres", "--ignore-not-found"):
        return
    passwords = {role: secrets.token_hex(16) for role in ("admin", *CONNECTIONS.values())}
    for name, role in CONNECTIONS.items():
        # Nothing leaves the machine here. Elsewhere leave sslmode out: then TLS is a must.
        place = f"postgres.{NAMESPACE}.svc:5432/{DATABASE}?sslmode=disable"
        url = f"postgresql://{role}:{passwords[role]}@{place}"
        write_secret(cluster, deploy.OPERATOR_NAMESPACE, name, {"url": url})
    of_server = {f"{role.upper()}_PASSWORD": password for role, password in passwords.items()}
    write_secret(cluster, NAMESPACE, "postgres", of_server)  # last: it says that all are there
