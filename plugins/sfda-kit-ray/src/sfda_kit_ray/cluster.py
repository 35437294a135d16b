"""A connection to a Ray cluster, with a plain error when there is none."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sfda_kit import UserError
from sfda_kit_ray.quiet import ray

CLIENT, CLIENT_PORT = "ray://", 10001
OBJECT_STORE = 100 * 2**20
"""Bytes for a Ray that we start: cells exchange nothing but a line of JSON."""
ANSWERS_IN_S = 5.0


@contextmanager
def connected(address: str | None) -> Iterator[None]:
    """Connect while open; a connection that is already there is used and left open."""
    if ray.is_initialized():
        yield
        return
    _connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def expect_room(needs: Mapping[str, float], address: str | None) -> None:
    """Raise ``UserError`` when no node can hold a cell; only warn for a cluster, because it may grow."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if any(all(node.get(name, 0) >= amount for name, amount in needs.items()) for node in nodes):
        return
    asked = " and ".join(f"{amount:g} {name}" for name, amount in needs.items() if amount)
    there = "; ".join(", ".join(f"{node.get(name, 0):g} {name}" for name in needs) for node in nodes)
    if address is None:
        raise UserError(
            f"One cell asks for {asked}, this computer has {there}. "
            "Ask for less (--executor-option cpus=..., gpus=...) or name a cluster (address=...)."
        )
    logging.getLogger(__name__).warning(
        "One cell asks for %s, but the nodes of the cluster have %s. Cells wait until a larger node joins.",
        asked,
        there,
    )


def _connect(address: str | None) -> None:
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
    try:
        if address not in (None, "auto"):
            _expect_answer(address)
        ray.init(
            address=address or "local",
            logging_level=logging.ERROR,
            log_to_driver=False,
            **({} if address else own),
        )
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise UserError(_unreachable(address, error)) from error


def _expect_answer(address: str) -> None:
    """Fail at once where nothing listens; Ray would try for minutes. Raises ``OSError``, ``ValueError``."""
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if not host and address.startswith(CLIENT):
        host, port = port, str(CLIENT_PORT)
    if not host or not port.isdigit():
        raise ValueError("not an address")
    socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWERS_IN_S).close()


def _unreachable(address: str | None, error: Exception) -> str:
    if address is None:
        return f"Ray could not be started on this computer: {error}. Try `ray start --head` to see why."
    return (
        f"No Ray cluster answers at address={address}: {error}. Expected auto (on a node of the cluster), "
        "HOST:PORT or ray://HOST:PORT. `ray status` on the head node shows whether it runs."
    )
