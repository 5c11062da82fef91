# SPDX-License-Identifier: Apache-2.0
"""Elements in order of size, where they came from, and elements picked by a computed position."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Enclosed

__all__ = ["Pick", "TopPlaces", "TopValues"]

_MOST_COMPARED = 1 << 10
"""Elements along an axis up to which all pairs are compared."""


@dataclass(frozen=True, slots=True, eq=False)
class TopValues(Enclosed):
    """The k largest elements along an axis, largest first."""

    axis: int  # of the ONNX shape, not negative
    count: int

    def __call__(self, *inputs: Tensor) -> Tensor:
        return inputs[0].sort(dim=self.axis + 1, descending=True).values.narrow(self.axis + 1, 0, self.count)

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The element of any rank rises with every input, so its bounds are those of that rank."""
        lower, upper = inputs[0]
        low = torch.where(lower.isnan(), -float("inf"), lower)
        return self(low), self(torch.where(upper.isnan(), float("inf"), upper))


@dataclass(frozen=True, slots=True, eq=False)
class TopPlaces(Enclosed):
    """Positions of the k largest elements along an axis; of equal ones the first comes first."""

    axis: int  # of the ONNX shape, not negative
    count: int

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, dim = inputs[0], self.axis + 1
        ordered = x.sort(dim=dim, descending=True, stable=True)
        sign = torch.sign(ordered.values)
        found = ordered.indices.to(x.dtype) + (sign - sign.detach())  # a gradient, of zero
        return found.narrow(dim, 0, self.count)

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """An element can have rank r if at most r others are surely larger and at least r may be so."""
        lower, upper = (end.movedim(self.axis + 1, -1) for end in inputs[0])
        size = lower.shape[-1]
        if size > _MOST_COMPARED:
            last = torch.full_like(lower[..., : self.count], size - 1).movedim(-1, self.axis + 1)
            return torch.zeros_like(last), last
        surely = (lower[..., None, :] > upper[..., :, None]).sum(-1, keepdim=True)  # (…, n, 1)
        never = (upper[..., None, :] < lower[..., :, None]).sum(-1, keepdim=True)
        rank = torch.arange(self.count, device=lower.device)
        possible = (surely <= rank) & (rank <= size - 1 - never)  # (…, n, k)
        first = possible.to(torch.int8).argmax(dim=-2)
        back = possible.flip(-2).to(torch.int8).argmax(dim=-2)
        ends = (first, size - 1 - back)
        low, high = (end.to(lower.dtype).movedim(-1, self.axis + 1) for end in ends)
        return low, high


@dataclass(frozen=True, slots=True, eq=False)
class Pick(Enclosed):
    """y[a, j, c] = x[a, i[a, j, c], c] for x (A, n, C) and whole numbers i (A, m, C), negative from the end.

    Positions outside, which no runtime accepts, count as the nearest inside.
    """

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, index = inputs
        size, batch = x.shape[2], max(x.shape[0], index.shape[0])
        place = index.detach().nan_to_num().round()
        place = torch.where(place < 0, place + size, place).clamp(0, size - 1).to(torch.int64)
        found = x.expand(batch, *x.shape[1:]).gather(2, place.expand(batch, *index.shape[1:]))
        return found + (index - index).nan_to_num()  # a gradient, of zero

    def enclosure(self, *inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The hull of the elements that the bounds of the position leave; nothing is known outside."""
        (lower, upper), (first, last) = inputs
        first, last, size = first.round(), last.round(), lower.shape[2]  # as the value itself rounds
        shape = (max(lower.shape[0], first.shape[0]), *first.shape[1:])
        low, high = lower.new_full(shape, float("inf")), lower.new_full(shape, -float("inf"))
        for place in range(size):
            reached = ((first <= place) & (last >= place)) | (
                (first <= place - size) & (last >= place - size)
            )
            x = slice(place, place + 1)
            low = torch.where(reached, torch.minimum(low, lower[:, :, x]), low)
            high = torch.where(reached, torch.maximum(high, upper[:, :, x]), high)
        outside = ~((first >= -size) & (last <= size - 1) & (low <= high))
        return low.masked_fill(outside, -float("inf")), high.masked_fill(outside, float("inf"))
