"""A parameter server: servers hold the state and make the optimizer steps, workers compute the gradients.

The first members of a generation are its servers, dedicated to that; the others are workers (RLPTO, Figure 4,
where a training task is a server with the nodes it has been given). A step is synchronous: the workers push
their gradients, each server sums a part of them, the servers step, and the workers pull the new weights at
the end of the loop's body. So the same is learnt as with one worker, as in `Sync`, whose steps these are.

Every server holds all of the state, and so does one worker that stands by: a server that dies loses nothing,
as its successor in the order of seniority has made the same steps. Where all holders die at once the weights
are known but not the optimizer's state, and training ends with ServersLost.
"""

from __future__ import annotations

from trainmaster.train.communicator import LinkFailed
from trainmaster.train.core import Core
from trainmaster.train.errors import WrongUse
from trainmaster.train.modes.sync import Sync
from trainmaster.train.position import NOTHING
from trainmaster.train.push import Push
from trainmaster.train.reduction import Reduction


class ParameterServer(Sync):
    """The steps of one server or worker."""

    def __init__(self, core: Core) -> None:
        super().__init__(core)
        self._wanted = core.options.servers
        self._push: Push | None = None
        core.group.holders = self._holders

    def works(self, position: int) -> bool:
        size = self._core.group.size
        return size == 1 or position >= self._servers(size)

    def may_step(self) -> bool:
        """An optimizer changes the weights only where the state is held."""
        return super().may_step() and self._holds

    def _servers(self, size: int) -> int:
        """Of a generation of so many. One member is left to work; alone, it does both."""
        return max(min(self._wanted, size - 1), 1)

    def _holders(self, size: int) -> int:
        return min(self._servers(size) + 1, size)

    @property
    def _holds(self) -> bool:
        return self._core.group.position < self._holders(self._core.group.size)

    # --- one step ------------------------------------------------------------------------------------------

    def _make_reduction(self) -> Reduction:
        replica = self._core.replica
        if replica.scales:
            raise WrongUse(
                "a GradScaler works with mode='sync' only: a server does not see the workers' gradients"
            )
        self._push = Push(replica.parameters(), replica.buffers(), self._ended)
        return self._push

    def _reduce(self, idle: bool) -> None:
        if self._reduced is not None:
            raise WrongUse("mode='parameter_server' takes one backward for every batch")
        assert self._push is not None
        self._push.servers = self._servers(self._core.group.size)
        self._push.weight = self._weight
        super()._reduce(idle)

    def _settle(self) -> None:
        core, link = self._core, self._core.group.link
        assert self._push is not None and self._reduced is not None and link is not None
        if self._reduced.idle:
            return
        if not self._stepped:
            raise WrongUse("mode='parameter_server' takes one optimizer step for every batch")
        core.whole = self._holds
        if core.group.size == 1:
            return
        core.group.begin()
        try:
            self._push.pull(link)
        except LinkFailed as failed:
            if self._holds:  # the step is made: this is where the others get it from
                core.group.broken(failed)
                return
            self._drop(failed)
            core.position.clock = NOTHING  # its weights may be of two steps
