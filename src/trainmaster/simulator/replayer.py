"""A simulation in a process of its own: `python -m trainmaster.simulator.replayer`, a question in, the answer
out.

Simulating a week takes seconds of pure computation, which must not be taken from the service's loop. The
parent is the service itself, so what comes in by standard input (a pickled question) is trusted.
"""

from __future__ import annotations

import json
import os
import pickle
import sys

from trainmaster.domain.errors import TrainmasterError
from trainmaster.simulator.foresight import Foresight, Present, look_ahead
from trainmaster.simulator.whatif import Answer, Question, ask


def main() -> None:
    os.nice(10)
    question = pickle.load(sys.stdin.buffer)
    try:
        told = {"answer": _answer(question).to_dict()}
    except TrainmasterError as error:
        told = {
            "error": {
                "code": error.code, "message": error.message, "remedy": error.remedy, "status": error.status,
                "fields": error.fields,
            }
        }  # fmt: skip
    json.dump(told, sys.stdout)


def _answer(question: Question | Present) -> Answer | Foresight:
    return look_ahead(question) if isinstance(question, Present) else ask(question)


if __name__ == "__main__":
    main()
