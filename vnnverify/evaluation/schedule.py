# SPDX-License-Identifier: Apache-2.0
"""Which worker takes which instance: in the order of the list, but one network stays with one worker."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from vnnverify.evaluation.instances import Instance

__all__ = ["Schedule"]

_Network = tuple[str, str]


class Schedule:
    """The instances still to be handed out. Many threads may ask."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._waiting: dict[_Network, deque[Instance]] = {}
        self._held: dict[int, _Network] = {}
        self._lock = threading.Lock()
        for instance in instances:
            self._waiting.setdefault((instance.folder, instance.model), deque()).append(instance)

    def next(self, worker: int) -> Instance | None:
        """The next instance for a worker; None if there is none left.

        That is one with the network it has; else the first of a network that nobody has; else the first of
        the network with the most instances waiting.
        """
        with self._lock:
            network = self._held.get(worker)
            if network not in self._waiting:
                taken = set(self._held.values())
                free = (n for n in self._waiting if n not in taken)
                most = max(self._waiting, key=lambda n: len(self._waiting[n]), default=None)
                network = next(free, most)
            if network is None:
                return None
            self._held[worker] = network
            queue = self._waiting[network]
            instance = queue.popleft()
            if not queue:
                del self._waiting[network]
            return instance
