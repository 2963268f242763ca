"""Servers that take what alarms send, each on a free port of this machine: HTTP and SMTP."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WebhookSink:
    """Keeps every POST with its headers and when it came. `answer`: the status; None: never answers."""

    def __init__(self) -> None:
        self.posts: list[tuple[float, dict[str, str], bytes]] = []
        self.answer: int | None = 204
        self.released = threading.Event()
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.posts.append((time.time(), dict(self.headers), body))
                if sink.answer is None:
                    sink.released.wait(60)
                    return
                self.send_response(sink.answer)
                if 300 <= sink.answer < 400:
                    self.send_header("Location", sink.url)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


class SmtpSink:
    """Keeps every mail. `refuse`: the command it answers with 554. `hang`: says nothing at all."""

    def __init__(self, refuse: str = "", hang: bool = False) -> None:
        self.mails: list[tuple[str, list[str], str]] = []
        self.refuse = refuse
        self.hang = hang
        self.released = threading.Event()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                if sink.hang:
                    sink.released.wait(60)
                    return
                self._say("220 sink")
                sender, to = "", []
                while line := self.rfile.readline().decode().strip():
                    word = line.split(":")[0].split()[0].upper()
                    if word == sink.refuse:
                        self._say("554 5.7.1 not from you")
                    elif word == "MAIL":
                        sender = line
                        self._say("250 fine")
                    elif word == "RCPT":
                        to.append(line)
                        self._say("250 fine")
                    elif word == "DATA":
                        self._say("354 go on")
                        text = b""
                        while (part := self.rfile.readline()) not in (b".\r\n", b""):
                            text += part
                        sink.mails.append((sender, to, text.decode()))
                        self._say("250 taken")
                    elif word == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 fine")

            def _say(self, line: str) -> None:
                self.wfile.write(line.encode() + b"\r\n")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@contextmanager
def serving(sink: Any) -> Iterator[Any]:
    thread = threading.Thread(target=sink.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        sink.released.set()
        sink.server.shutdown()
        sink.server.server_close()
        thread.join()


def closed_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
