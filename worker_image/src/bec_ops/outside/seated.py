"""A worker's process in its seat: who it is, what it calls with, and what it still has to tell."""

from contextlib import ExitStack, suppress

from bec_ops.contract.errors import MisconfiguredError
from bec_ops.link.operator_client import RefusedError, UnreachableError
from bec_ops.link.redelivery import Send
from bec_ops.outside.client import Offer, OutsideClient, Seat, enrol
from bec_ops.outside.identity import Identity, StateFolder
from bec_ops.outside.keys import Keys
from bec_ops.outside.reports import KeptReports, Records, deliver_left
from bec_ops.outside.seats import sitting

_LARGEST_TOKEN = 4096  # bytes of its file


class Seated:
    """One seat of a worker, taken by a process; `handlers` are those that it has."""

    def __init__(
        self, keys: Keys, folder: StateFolder, seat: Seat, handlers: tuple[str, ...] = ()
    ) -> None:
        self.keys, self._folder, self._seat = keys, folder, seat
        self.identity = identity_of(keys, folder)
        self.records = Records(folder.path)
        self.reports = KeptReports(self.records, seat)
        offer = Offer(keys.jobs, keys.handlers or _offered(handlers), keys.site)
        self.client = OutsideClient(lambda: self.identity, seat, offer)
        self._registered_again = False

    def tell(self) -> bool:
        """Tell what waits, that of earlier processes first; True if nothing is left.

        What one could not tell that sat in this very seat has to be told before its session is
        this process's; of other seats one speaks only if nobody sits there.
        """
        free: dict[str, bool] = {}
        with ExitStack() as held:

            def mine(seat: Seat) -> bool:
                if seat.name == self._seat.name:
                    return seat.process != self._seat.process
                if seat.name not in free:
                    context = sitting(self._folder.path, seat.name)
                    free[seat.name] = held.enter_context(context)
                return free[seat.name]

            left = deliver_left(self.records, mine, self._send_of)
        return left and self.reports.deliver(self.client.report)

    def leave(self) -> None:
        """Have a task back in the queue at once that comes as the process ends: nobody sits here.

        It is of use while a question for a task is not answered.
        """
        with suppress(UnreachableError, RefusedError):
            OutsideClient(lambda: self.identity, Seat.new(self._seat.name)).register()

    def register_again(self) -> bool:
        """Have the worker taken in anew, once; False if there is no token, or it was done before.

        Raises what `enrol` does.
        """
        token = read_token(self.keys)
        if not token or self._registered_again:
            return False
        try:
            self.identity = enrol(
                self._folder, self.identity.url, token, self.identity.name, self.identity.ca
            )
        except RefusedError:
            self._registered_again = True
            raise
        self._registered_again = True
        self.client.forget_session()
        return True

    def _send_of(self, seat: Seat) -> Send:
        return OutsideClient(lambda: self.identity, seat).report


def identity_of(keys: Keys, folder: StateFolder) -> Identity:
    """Return who this worker is; the certificates that its configuration names count, if any."""
    found = folder.require_identity(keys.url)
    return found if keys.ca is None else found.model_copy(update={"ca": keys.ca})


def read_token(keys: Keys) -> str:
    """Return the token to register by, from the configuration or its file; empty if none."""
    if keys.token or keys.token_file is None:
        return keys.token
    try:
        with keys.token_file.open("rb") as file:
            return file.read(_LARGEST_TOKEN).decode("ascii").strip()
    except OSError as error:
        raise MisconfiguredError(
            f"the token's file {keys.token_file} cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise MisconfiguredError(f"{keys.token_file} holds no token") from None


def _offered(handlers: tuple[str, ...]) -> tuple[str, ...]:
    """Return the handlers that are offered: a Job that names none means the only one."""
    return (*handlers, "") if len(handlers) == 1 else handlers
