# SPDX-License-Identifier: Apache-2.0
"""Matrix products with a constant: Gemm, and MatMul with one constant operand.

Large matrices with few nonzero weights are kept sparse: selections and differences of thousands of values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vnnverify.ir.op import Affine, Shape

__all__ = ["LeftLinear", "Linear", "SparseLinear", "entries", "is_sparse", "product"]

SPARSE_ELEMENTS, SPARSE_DENSITY = 1 << 16, 1 / 32
"""Elements from which on, and part of them up to which, a sparse matrix is faster than a dense one."""

COMPARED = 1 << 16
"""Elements of a weight up to which their signs are looked at. The sign of a zero counts: a weight below the
least float32 keeps it in a cast."""


def _sign_of_bits(weight: Tensor) -> Tensor:
    """The floats as whole numbers of the same bits, and so of the same sign; a zero may be negative."""
    return weight.contiguous().view(torch.int64 if weight.dtype == torch.float64 else torch.int32)


def is_sparse(elements: int, nonzero: int) -> bool:
    """Whether a matrix with so many elements deserves to be kept sparse."""
    return elements >= SPARSE_ELEMENTS and nonzero <= SPARSE_DENSITY * elements


def entries(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse (COO) matrix of these entries, equal places summed up, without zeros."""
    index = torch.stack([rows, columns])
    summed = torch.sparse_coo_tensor(index, values, shape, check_invariants=False).coalesce()
    some = summed.values().nonzero()[:, 0]
    if some.numel() == summed.values().numel():
        return summed
    index, values = summed.indices()[:, some], summed.values()[some]
    return torch.sparse_coo_tensor(index, values, shape, is_coalesced=True, check_invariants=False)


def product(weight: Tensor, bias: Tensor | None = None, roundings: int = 0) -> Linear | SparseLinear:
    """The product with a sparse (COO) weight (out, in), kept as is faster."""
    weight = weight.coalesce()
    if not is_sparse(weight.numel(), weight.values().numel()):
        return Linear(weight.to_dense(), bias, roundings)
    return SparseLinear(weight, weight.T.coalesce(), bias, roundings)


@dataclass(frozen=True, slots=True, eq=False)
class Linear(Affine):
    """z = x W^T + b over the last axis."""

    weight: Tensor  # (out, in)
    bias: Tensor | None = None  # (out,)
    roundings: int = 0  # that each parameter has gone through since it was stored

    def linear(self, *inputs: Tensor) -> Tensor:
        return inputs[0] @ self.weight.T

    @property
    def offset(self) -> Tensor | None:
        return self.bias

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return inputs[0] @ self.weight.abs().T

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (rows @ self.weight,)

    @property
    def sparse(self) -> Tensor:
        """The weight as a sparse (COO) tensor."""
        return self.weight.to_sparse()

    @property
    def increasing(self) -> Tensor | bool:
        return _sign_of_bits(self.weight).amin(dim=1) >= 0 if self.weight.numel() <= COMPARED else False

    @property
    def fan_in(self) -> int:
        return self.weight.shape[1]

    @property
    def fan_out(self) -> int:
        return self.weight.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class SparseLinear(Affine):
    """z = x W^T + b over the last axis, with the nonzero weights only. Made by `product`."""

    weight: Tensor  # (out, in) sparse COO, coalesced
    transposed: Tensor  # (in, out) the same
    bias: Tensor | None = None  # (out,)
    roundings: int = 0  # that each parameter has gone through since it was stored

    def linear(self, *inputs: Tensor) -> Tensor:
        return _sparse(self.weight, inputs[0])

    @property
    def offset(self) -> Tensor | None:
        return self.bias

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _sparse(self.weight.abs(), inputs[0])

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (_sparse(self.transposed, rows),)

    @property
    def sparse(self) -> Tensor:
        """The weight as a sparse (COO) tensor."""
        return self.weight

    @property
    def fan_in(self) -> int:
        """The most weights in a row: the others are zero and round nothing."""
        return _most_in_a_row(self.weight)

    @property
    def fan_out(self) -> int:
        """The most weights in a column."""
        return _most_in_a_row(self.transposed)


def _sparse(weight: Tensor, x: Tensor) -> Tensor:
    """x W^T over the last axis; the vectors of x are side by side in memory while it is computed."""
    columns = x.reshape(-1, x.shape[-1]).T.contiguous()
    z: Tensor = torch.sparse.mm(weight, columns).T.contiguous()
    return z.reshape(*x.shape[:-1], weight.shape[0])


def _most_in_a_row(weight: Tensor) -> int:
    rows = weight.indices()[0]
    return int(torch.bincount(rows).amax()) if rows.numel() else 0


@dataclass(frozen=True, slots=True, eq=False)
class LeftLinear(Affine):
    """z = W x with the constant on the left: x is (…, in, k), or a vector (in,) if W is one matrix.

    A stack of matrices (*lead, out, in) needs x of shape (*lead, in, k).
    """

    weight: Tensor  # (*lead, out, in)

    def linear(self, *inputs: Tensor) -> Tensor:
        return _left(self.weight, inputs[0])

    def magnitude(self, *inputs: Tensor) -> Tensor:
        return _left(self.weight.abs(), inputs[0])

    def adjoint(self, rows: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return (_left(self.weight.mT, rows),)

    @property
    def increasing(self) -> Tensor | bool:
        return bool(_sign_of_bits(self.weight).min() >= 0) if self.weight.numel() <= COMPARED else False

    @property
    def fan_in(self) -> int:
        return self.weight.shape[-1]

    @property
    def fan_out(self) -> int:
        return self.weight.shape[-2]


def _left(weight: Tensor, x: Tensor) -> Tensor:
    if x.dim() == 2:  # a batch of vectors
        return x @ weight.mT
    return torch.matmul(weight, x)
