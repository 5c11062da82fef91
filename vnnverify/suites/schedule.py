# SPDX-License-Identifier: Apache-2.0
"""Which worker takes which instance: in the order of the list, but one network stays with one worker."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable

from vnnverify.suites.instances import Instance

__all__ = ["Schedule"]

LOSSES = 3
"""So many times an instance may be given back; one that brings down whatever works on it is not tried on."""

_Network = tuple[str, str]


class Schedule:
    """The instances still to be handed out. Many threads may ask."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._waiting: dict[_Network, deque[Instance]] = {}
        self._held: dict[int, _Network] = {}
        self._losses: Counter[int] = Counter()
        self._changed = threading.Condition()
        self._closed = False
        self.size = 0
        """How many instances there are in all."""
        for instance in instances:
            self._waiting.setdefault((instance.folder, instance.model), deque()).append(instance)
            self.size += 1

    def next(self, worker: int) -> Instance | None:
        """The next instance for a worker, waited for until there is one; None if the schedule is closed.

        That is one with the network it has; else the first of a network that nobody has; else the first of
        the network with the most instances waiting.
        """
        with self._changed:
            while not self._closed:
                network = self._choose(worker)
                if network is not None:
                    return self._take(worker, network)
                self._changed.wait()
            return None

    def back(self, instance: Instance) -> bool:
        """Give an instance back whose worker was lost. False if that has happened too often: it stays out."""
        with self._changed:
            self._losses[instance.index] += 1
            if self._losses[instance.index] >= LOSSES:
                return False
            self._waiting.setdefault((instance.folder, instance.model), deque()).appendleft(instance)
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Hand out no more; those who wait wait no longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _choose(self, worker: int) -> _Network | None:
        network = self._held.get(worker)
        if network in self._waiting:
            return network
        taken = set(self._held.values())
        most = max(self._waiting, key=lambda n: len(self._waiting[n]), default=None)
        return next((n for n in self._waiting if n not in taken), most)

    def _take(self, worker: int, network: _Network) -> Instance:
        self._held[worker] = network
        queue = self._waiting[network]
        instance = queue.popleft()
        if not queue:
            del self._waiting[network]
        return instance
