"""Calls of Data Dispatcher's clients that make no sense here, and what to do instead."""

_JOB = "a project is a Job of Kubernetes, and what works on its files may not change it"
_VOLUMES = "its volumes come from where the Job's spec.volumes says"

REFUSED = (
    ("POST", "create_project", f"{_JOB}: make a Job by kubectl; {_VOLUMES}"),
    ("POST", "copy_project", f"{_JOB}: make another Job by kubectl, under another name"),
    ("POST", "restart_handles", f"{_JOB}: set spec.retryFailedAt of the Job, or spec.redoAt"),
    ("GET", "cancel_project", f"{_JOB}: set spec.suspend of the Job, or delete it, by kubectl"),
    ("GET", "activate_project", f"{_JOB}: no Job is abandoned; one that has ended stays so"),
    ("GET", "delete_project", f"{_JOB}: delete the Job by kubectl"),
    ("POST", "search_projects", "projects are not searched here: `ddisp project list -s all`"),
    ("GET", "rses", "there is one RSE, s3: where the outputs of volumes go"),
    ("GET", "get_rse", "there is one RSE, s3: where the outputs of volumes go"),
    ("GET", "set_rse_availability", "whether S3 is there is found out, and not set"),
    ("GET", "file", "files are known in their projects alone: `ddisp project show -f all ID`"),
    ("POST", "replica_available", f"replicas are not kept here: {_VOLUMES}"),
    ("GET", "replica_unavailable", f"replicas are not kept here: {_VOLUMES}"),
)
"""Verb, call, and the sentence. The status is 403: with 404 the client would raise nothing."""
