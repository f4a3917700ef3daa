"""The calls of workers from elsewhere: those of the worker API, and two more."""

from bec_operator.worker_api.routes import ROUTES, Route
from bec_ops.contract.protocol import Enrol, Enrolled, Holds, Mine

ENROL = Route("enrol", Enrol, Enrolled, "From elsewhere: come in, by a token of an administrator")
MINE = Route("mine", Mine, Holds, "From elsewhere: ask which tasks the worker has")
OUTSIDE_ROUTES = (*ROUTES, ENROL, MINE)
