"""How the members of a generation find each other: through the store that its leader hosts.

Nobody begins to connect before everybody is there, so a member in a long step delays the others and fails
nothing, and the time-outs of connecting itself can be short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from torch.distributed import PrefixStore, ProcessGroupGloo, Store, TCPStore

from trainmaster.train.clock import Clock
from trainmaster.train.communicator import Alone, Communicator, Gloo, LinkFailed
from trainmaster.train.gpu import Gpu
from trainmaster.train.nccl import Nccl, connect
from trainmaster.train.plan import Plan

_CONNECT_S = 5.0
_LOOK_S = 0.001


class Meeting:
    """This process's store, and the way into the groups it is named in. `rank` is its own."""

    def __init__(self, address: str, rank: int, clock: Clock) -> None:
        self._clock = clock
        self._within = timedelta(seconds=clock.allow(_CONNECT_S))
        self._address = address
        self._rank = rank
        self._store: Store | None = None  # of the newest generation of several
        self._own = TCPStore(
            address, 0, is_master=True, wait_for_workers=False, timeout=self._within, use_libuv=True
        )

    @property
    def store(self) -> str:
        """Where others find the store if this process leads."""
        return f"{self._address}:{self._own.port}"

    def join(
        self, plan: Plan, holders: int, look: Callable[[], None], look_stuck: Callable[[], None]
    ) -> Communicator:
        """Meet the members of `plan`. Raises LinkFailed, from `look` too, which is called while we wait.

        The first `holders` of them also meet among themselves, as the communicator's `inner`. `look_stuck` is
        what the communicator calls when a message takes long.
        """
        position = plan.members.index(self._rank)
        if len(plan.members) == 1:
            self._clock.regrouped()
            return Alone()
        leader = plan.members[0]
        try:
            store = PrefixStore(f"{plan.generation}", self._own if position == 0 else self._connect(plan))
            self._store = store
            store.set(f"here/{position}", "")
            self._assemble(plan, store, look)
            group = ProcessGroupGloo(PrefixStore("gloo", store), position, len(plan.members), self._options())
            inner: Communicator | None = Alone() if holders == 1 and not position else None
            if position < holders and holders > 1:
                among = ProcessGroupGloo(PrefixStore("inner", store), position, holders, self._options())
                inner = self._link(among, f"{plan.generation}/inner", plan.members[:holders], look_stuck)
        except RuntimeError as error:  # DistStoreError and DistNetworkError are such
            suspects = (leader,) if position else plan.members[1:]
            raise LinkFailed(f"cannot meet generation {plan.generation}: {error}", suspects) from None
        self._clock.regrouped()
        return self._link(group, f"{plan.generation}", plan.members, look_stuck, inner)

    def accelerate(
        self,
        link: Communicator,
        members: Sequence[int],
        holders: int,
        gpu: Gpu,
        look: Callable[[], None],
        look_stuck: Callable[[], None],
    ) -> Nccl | str:
        """NCCL over the `link` that `join` made, for members that all call this; or why it cannot be had.

        Raises LinkFailed from `look`.
        """
        position = members.index(self._rank)
        places = {"all": (position, len(members))}
        if holders > 1 and position < holders:
            places["inner"] = (position, holders)
        assert self._store is not None
        try:
            made = connect(gpu, self._store, places, look)
        except RuntimeError as error:  # of the store: its host, the leader, is gone
            raise LinkFailed(f"{error}".partition("\n")[0], (members[0],)) from None
        if isinstance(made, str):
            return made
        inner = link.inner
        if "inner" in made and inner is not None:
            inner = Nccl(gpu, made["inner"], inner, look_stuck, None)
        return Nccl(gpu, made["all"], link, look_stuck, inner)

    def _connect(self, plan: Plan) -> Store:
        host, _, port = plan.store.rpartition(":")
        return TCPStore(host, int(port), is_master=False, wait_for_workers=False, timeout=self._within)

    def _assemble(self, plan: Plan, store: Store, look: Callable[[], None]) -> None:
        """Wait until all are there."""
        keys = {rank: f"here/{position}" for position, rank in enumerate(plan.members)}
        try:
            self._meet(f"{plan.generation}/begin", plan.members, look)
            while not store.check(list(keys.values())):
                look()
                time.sleep(_LOOK_S)  # in virtual time too: all have said so, and it is on its way
        except LinkFailed as failed:
            absent = tuple(rank for rank, key in keys.items() if not store.check([key]))
            raise LinkFailed(failed.why, failed.suspects and absent) from None

    def _link(
        self,
        group: Any,
        message: str,
        ranks: Sequence[int],
        look: Callable[[], None],
        inner: Communicator | None = None,
    ) -> Gloo:
        def meet() -> None:
            self._meet(message, ranks, look)

        return Gloo(group, look, meet, lambda: self._clock.leave(message), inner)

    def _meet(self, message: str, ranks: Sequence[int], look: Callable[[], None]) -> None:
        """Raises LinkFailed if somebody has left, and from `look`."""
        gone = self._clock.meet(message, ranks, look)
        if gone:
            raise LinkFailed(f"worker {', '.join(map(str, gone))} has left", gone)

    def _options(self) -> Any:
        options = ProcessGroupGloo._Options()  # type: ignore[attr-defined]
        options._timeout = self._within
        options._threads = 1
        options._devices = [ProcessGroupGloo.create_device(hostname=self._address)]
        return options
