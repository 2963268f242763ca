"""Questions to the simulator, answered in a process of its own."""

from __future__ import annotations

import asyncio
import json
import pickle
from typing import Any

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.units import format_duration
from trainmaster.service.children import ask
from trainmaster.simulator.errors import CannotReplay
from trainmaster.simulator.foresight import Present
from trainmaster.simulator.whatif import Question


async def simulated(question: Question | Present, within_s: float) -> dict[str, Any]:
    """The answer of `simulator.replayer`. Raises what it refused with, or CannotReplay."""
    asked = await asyncio.to_thread(pickle.dumps, question)
    try:
        code, out, errors = await ask("trainmaster.simulator.replayer", asked, within_s)
    except TimeoutError:
        raise CannotReplay(f"the simulation took longer than {format_duration(within_s)}") from None
    if code:
        raise CannotReplay(f"the simulation ended with {code}: {errors.decode(errors='replace')[-300:]}")
    told = json.loads(out)
    if "error" in told:
        raise _refused(told["error"])
    answer: dict[str, Any] = told["answer"]
    return answer


def _refused(told: dict[str, Any]) -> TrainmasterError:
    """The child's error as it was there."""
    error = CannotReplay(told["message"], remedy=told["remedy"], **told["fields"])
    error.code, error.status = told["code"], told["status"]
    return error
