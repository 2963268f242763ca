"""Frames over a Unix socket, between processes of one user on one machine.

A frame is its length in four bytes and a pickle. Only our own user can connect: the folder is 0700, and the
kernel is asked who is at the other end; that user could run anything here anyway.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!I")
_LONGEST = 256 * 1024 * 1024
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid of SO_PEERCRED


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next frame. Raises EOFError or OSError once the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        if length > _LONGEST:
            raise OSError("the frame is too long")
        return pickle.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError as error:
        raise EOFError("the other side is gone") from error


def send(writer: asyncio.StreamWriter, frame: Any) -> None:
    """Raises OSError if the other side is gone."""
    data = pickle.dumps(frame, protocol=pickle.HIGHEST_PROTOCOL)
    if writer.is_closing():
        raise ConnectionError("the connection is closed")
    writer.write(_LENGTH.pack(len(data)) + data)


def ours(writer: asyncio.StreamWriter) -> bool:
    """Is our own user (or root) at the other end?"""
    raw: socket.socket = writer.get_extra_info("socket")
    found = raw.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(found)[1] in (os.geteuid(), 0)
