"""What the operator measures of itself, for `/metrics`."""

from prometheus_client import Counter, Gauge, Histogram

API_REQUESTS = Counter(
    "bec_api_requests", "Requests to the API server", ["verb", "resource", "code"]
)
S3_REQUESTS = Counter("bec_s3_requests", "Requests to S3", ["operation", "outcome"])
CONNECTION_CALLS = Counter(
    "bec_connection_calls", "Calls of databases and queues", ["connection", "outcome"]
)
ACTIONS = Counter("bec_actions", "Actions done", ["action", "outcome"])
DECIDE_SECONDS = Histogram(
    "bec_decide_seconds",
    "Time of one pass over one job",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1),
)
PASS_SECONDS = Counter("bec_pass_seconds", "Time of all passes over one job", ["namespace", "job"])
JOB_FAULTS = Counter(
    "bec_job_faults",
    "Exceptions that nobody foresaw, in passes over one job or in what is done for it",
    ["namespace", "job"],
)
UNREADABLE = Counter(
    "bec_unreadable_objects", "Objects in the cluster that could not be read", ["resource"]
)
LOOP_LAG_SECONDS = Histogram(
    "bec_loop_lag_seconds",
    "How much later than asked for the event loop goes on: what a call may have to wait",
    buckets=(0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 3),
)
REMEMBERED = Gauge("bec_remembered", "Entries of what is remembered, of all jobs", ["book"])
JOB_VOLUMES = Gauge(
    "bec_job_volumes", "Volumes of a job by what became of them", ["namespace", "job", "state"]
)
MARKER_KNOWN_SECONDS = Histogram(
    "bec_marker_known_seconds",
    "Time from the writing of a marker, by the worker's clock, until its task is known as done",
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 30, 60),
)
WATCH_AGE = Gauge(
    "bec_watch_age_seconds", "Time since the last sign of a watch", ["resource", "namespace"]
)
WORKER_CALLS = Counter("bec_worker_calls", "Calls of workers", ["call", "outcome"])
WORKER_CALL_SECONDS = Histogram(
    "bec_worker_call_seconds",
    "Time of a call of a worker; that of `next` may be spent waiting",
    ["call"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
WORKER_CONNECTIONS = Gauge("bec_worker_connections", "Connections of workers that are open")
WORKER_CONNECTIONS_CLOSED = Counter(
    "bec_worker_connections_closed",
    "Connections that were closed: full (too many of all), address (too many of one), slow",
    ["reason"],
)
WORKERS_WAITING = Gauge("bec_workers_waiting", "Workers whose call of `next` waits for a task")
POOL_WORKERS = Gauge("bec_pool_workers", "Workers of a pool", ["namespace", "job", "state"])
POOL_QUEUE = Gauge(
    "bec_pool_startable", "Tasks that workers of a pool could begin now", ["namespace", "job"]
)
POOL_SECONDS = Counter(
    "bec_pool_worker_seconds",
    "Time of the workers of pools: busy, idle (what a pool costs for nothing), starting",
    ["namespace", "job", "state"],
)
POOL_HANDOVER_SECONDS = Histogram(
    "bec_pool_handover_seconds",
    "Time until a worker of a pool has a task, since both were there",
    buckets=(0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
HOSTS_AVOIDED = Gauge(
    "bec_hosts_avoided",
    "Workers that get nothing more, and nodes that are avoided: they fail what others do",
    ["namespace", "job", "kind"],
)
POOL_DECISIONS = Counter("bec_pool_decisions", "Changes of a pool's size", ["decision"])
NOTIFICATIONS = Counter(
    "bec_notifications",
    "Notifications by webhook: delivered, retried (each further try), lost",
    ["type", "outcome"],
)
RESULTS_TOLD = Counter(
    "bec_results", "Results that were told to sql or queue: delivered, left_out", ["to", "outcome"]
)
RESULTS_LAG = Gauge(
    "bec_results_lag_seconds",
    "How long the oldest result of a job has waited",
    ["namespace", "job"],
)
