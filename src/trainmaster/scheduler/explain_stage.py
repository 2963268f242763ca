"""Why a stage of a workflow run is where it is."""

from __future__ import annotations

from trainmaster.domain.ids import TaskId
from trainmaster.domain.lifecycle import WAITING
from trainmaster.domain.workflow_run import STAGE_ENDED, StageState
from trainmaster.scheduler.state import State
from trainmaster.scheduler.unfolding import WHEN_WORDS, Unfolding

_SHOWN = 4


def stage_state(state: State, unfolding: Unfolding, number: int) -> StageState:
    """As `StageRun.state`, where RUNNING is READY until one of its tasks has got a node."""
    at = unfolding.stages[number]
    if at.state is not StageState.RUNNING:
        return at.state
    for one in at.open.values():
        task = state.tasks.get(TaskId(one or ""))
        if task is None or task.state not in WAITING:
            return StageState.RUNNING
    return StageState.RUNNING if at.ended else StageState.READY


def letters(state: State, unfolding: Unfolding) -> str:
    """The state of every stage, a letter for each."""
    return "".join(stage_state(state, unfolding, number).letter for number in range(len(unfolding.stages)))


def explain_stage(state: State, unfolding: Unfolding, number: int) -> str:
    """One sentence."""
    at, stage, before = unfolding.stages[number], unfolding.stage(number), unfolding.graph.before[number]
    if at.state in STAGE_ENDED:
        return at.reason or "done"
    if unfolding.holds:
        return f"its run has not begun: {unfolding.run.reason}"
    if at.state is StageState.WAITING:
        waits = [need for need in before if unfolding.stages[need].state not in STAGE_ENDED]
        names = [
            f"{unfolding.stage(need).name} ({stage_state(state, unfolding, need)})" for need in waits[:_SHOWN]
        ]
        more = f" and {len(waits) - _SHOWN} more" if len(waits) > _SHOWN else ""
        return f"waits for {', '.join(names)}{more}; it runs when {WHEN_WORDS[stage.when]}"
    told = []
    queued = [
        one for one in at.open.values() if (t := state.tasks.get(TaskId(one or ""))) and t.state in WAITING
    ]
    running = len(at.open) - len(queued)
    if running:
        told.append(f"{running} running")
    if queued:
        told.append(f"{len(queued)} queued: `trainmaster explain {queued[0]}` says why")
    if at.todo:
        limit = stage.at_once
        most = f"at most {limit} at once" if limit else f"at most {state.limits.open_parts} of a run at once"
        told.append(f"{len(at.todo)} not submitted yet, {most}")
    if at.failed:
        told.append(f"{at.failed} failed")
    return "; ".join(told) or "its turn has come"
