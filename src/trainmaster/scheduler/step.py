"""The whole scheduler behind one function. The live service and the simulator both call it."""

from __future__ import annotations

from collections.abc import Sequence

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.events import Event
from trainmaster.scheduler.cycle import cycle
from trainmaster.scheduler.firing import fire, more_is_due, release
from trainmaster.scheduler.reactor import on_submitted, on_timer, react
from trainmaster.scheduler.state import Change, Outcome, State
from trainmaster.scheduler.workers import OF_WORKERS, regroup
from trainmaster.scheduler.workflows import advance


def step(state: State, events: Sequence[Event], now: float) -> Outcome:
    """Apply `events`, fire due timers and triggers, decide. Changes `state` and returns what changed and what
    to do.

    Deterministic: the same state, events and time give the same outcome. A request that must be refused
    leaves its error in `refused` under its position; the other events are not affected. After very many
    events the next step decides, with whatever it is given itself.
    """
    out = Outcome()
    change = Change(state, out, now)
    for position, event in enumerate(events):
        if change.heard and type(event) not in OF_WORKERS:
            regroup(change)
        try:
            react(change, event)
        except TrainmasterError as error:
            out.refused[position] = error
    regroup(change)
    for timer in state.timers.due(now):
        on_timer(change, timer)
    fire(change)
    while state.parts_ended or state.runs_due:
        advance(change, on_submitted)  # what follows in their workflows is submitted
        release(change)  # firings that waited for a run
    state.postponed = state.unsettled and len(events) > state.limits.messages and not state.postponed
    if state.postponed:
        out.again = True
    elif state.unsettled:
        state.unsettled = False
        out.again = cycle(change)
        state.unsettled = out.again
    out.again = out.again or more_is_due(change)
    wake = [at for at in (state.timers.next_due(), state.triggers.next_due()) if at is not None]
    out.wake_at = min(wake, default=None)
    return out
