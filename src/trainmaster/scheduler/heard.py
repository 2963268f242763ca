"""What the workers of a group said one after another, until it is acted on."""

from __future__ import annotations

from collections.abc import Collection

from trainmaster.domain.group import Group, regrouped


class Heard:
    """Kept apart from the group and put into it at once (`into`): a new group for each of n words, which
    holds n workers, would take the square of n.

    `step`: the training step the latest of those who joined named.
    """

    __slots__ = ("_crew", "_gone", "_joined", "_of", "_ready", "_stores", "step")

    def __init__(self) -> None:
        self.step: float | None = None
        self._joined: set[int] = set()
        self._stores: dict[int, str] = {}
        self._gone: set[int] = set()
        self._of: tuple[int, ...] = ()  # the members whose set `_crew` is
        self._crew: frozenset[int] = frozenset()
        self._ready: set[int] | None = None  # who can be planned, once somebody asked

    def members(self, group: Group) -> Collection[int]:
        """Those of the group, as something that is quick to look into."""
        if self._of is not group.members:
            self._of, self._crew = group.members, frozenset(group.members)
        return self._crew

    def joined(self, rank: int, step: float) -> None:
        """A member trains."""
        self._joined.add(rank)
        self.step = step

    def ready(self, group: Group, rank: int, store: str) -> int:
        """A worker can be reached at `store`. Returns how many can by now."""
        if self._ready is None:
            self._ready = ({known for known, _ in group.stores} - self._gone) | set(self._stores)
        self._ready.add(rank)
        self._stores[rank] = store
        return len(self._ready)

    def gone(self, rank: int) -> None:
        """A worker has ended."""
        self._gone.add(rank)
        self._stores.pop(rank, None)
        if self._ready is not None:
            self._ready.discard(rank)

    def into(self, group: Group) -> Group:
        """The group with all that was said since the last time; the same one if that is nothing."""
        if self._joined:
            group = regrouped(group, joined=group.joined | self._joined, fresh=group.fresh - self._joined)
            self._joined.clear()
        if self._gone or self._stores:
            stores = {rank: store for rank, store in group.stores if rank not in self._gone} | self._stores
            leaving = group.leaving - self._gone
            group = regrouped(group, stores=tuple(sorted(stores.items())), leaving=leaving)
            self._gone.clear()
            self._stores.clear()
        return group
