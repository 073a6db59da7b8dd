"""A TCP relay between two network namespaces: how a browser outside reaches the console inside a lab.

``relay.py LISTEN_NS LISTEN_HOST LISTEN_PORT CONNECT_NS CONNECT_HOST CONNECT_PORT``; ``-`` is the namespace it was
started in. A socket stays in the namespace that it was made in, so each is made there. Prints the port it listens on.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Iterator

CLONE_NEWNET = 0x40000000


@contextlib.contextmanager
def inside(namespace: str, home: int) -> Iterator[None]:
    """Be in another network namespace for a moment (this thread only). Raises OSError."""
    if namespace != "-":
        _enter(f"/run/netns/{namespace}")
    try:
        yield
    finally:
        if namespace != "-":
            _enter(f"/proc/self/fd/{home}")


def _enter(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(descriptor)


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    made.setblocking(False)
    return made


async def serve(listen: tuple[str, str, int], connect: tuple[str, str, int]) -> None:
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    with inside(listen[0], home):
        server_socket = _socket(listen[1])
        server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server_socket.bind((listen[1], listen[2]))

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            with inside(connect[0], home):
                far = _socket(connect[1])
            await asyncio.get_running_loop().sock_connect(far, (connect[1], connect[2]))
            far_reader, far_writer = await asyncio.open_connection(sock=far)
            with contextlib.closing(far_writer):
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))

    server = await asyncio.start_server(handle, sock=server_socket)
    print(server_socket.getsockname()[1], flush=True)
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


if __name__ == "__main__":
    words = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve((words[0], words[1], int(words[2])), (words[3], words[4], int(words[5]))))
