"""A wire to a server that can be cut after a commit took place, before its answer arrives."""

import re
import socket
import threading
from contextlib import suppress
from typing import Self


class Wire:
    """Forwards one port of loopback to another; use as a context.

    While `armed`, the next message that holds `cut_at` reaches the server, whose answer is awaited
    and thrown away with the connection. `cuts` counts them.
    """

    def __init__(self, port: int, cut_at: bytes = b"COMMIT") -> None:
        self._target = ("127.0.0.1", port)
        self._cut_at = cut_at
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.armed = threading.Event()
        self.cuts = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def through(self, url: str) -> str:
        """The URL, led through this wire."""
        port = self._listener.getsockname()[1]
        return re.sub(r"@127\.0\.0\.1:\d+", f"@127.0.0.1:{port}", url)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        mute = threading.Event()
        with client, suppress(OSError), socket.create_connection(self._target) as server:
            asking = threading.Thread(target=self._ask, args=(client, server, mute), daemon=True)
            asking.start()
            self._answer(client, server, mute)
            asking.join()

    def _ask(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if self.armed.is_set() and self._cut_at in data:
                    self.armed.clear()
                    mute.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: socket.socket, server: socket.socket, mute: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if mute.is_set():
                    self.cuts += 1
                    break
                client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
