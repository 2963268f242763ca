"""Computing that must not be done in the service's loop: a module of ours in a process of its own."""

from __future__ import annotations

import asyncio
import sys


async def ask(module: str, request: bytes, within_s: float) -> tuple[int, bytes, bytes]:
    """`python -m module` with `request` on standard input: exit code, standard output, standard error.

    It never outlives the call. Raises TimeoutError.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(within_s):
            out, errors = await child.communicate(request)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    assert child.returncode is not None
    return child.returncode, out, errors
