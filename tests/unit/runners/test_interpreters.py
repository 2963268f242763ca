"""Which variables decide what interpreter a run can be forked from."""

from __future__ import annotations

from trainmaster.runners.interpreters import start_environment


def test_what_differs_from_task_to_task_needs_no_interpreter_of_its_own() -> None:
    """Else every elastic task would load torch once more before it starts warm."""
    common = {"PATH": "/bin", "OMP_NUM_THREADS": "1", "TORCH_SHOW_CPP_STACKTRACES": "1", "PYTHONPATH": "/src"}
    group = {"TORCHELASTIC_RESTART_COUNT": "0", "TORCHELASTIC_MAX_RESTARTS": "1", "MASTER_PORT": "20000"}
    one = common | group | {"TORCHELASTIC_RUN_ID": "t-1", "TRAINMASTER_TASK": "t-1"}
    other = common | group | {"TORCHELASTIC_RUN_ID": "t-2", "TRAINMASTER_TASK": "t-2"}
    assert start_environment(one) == start_environment(other) == common
