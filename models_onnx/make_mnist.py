# SPDX-License-Identifier: Apache-2.0
"""Makes mnist_mlp.onnx (784-64-64-10) and mnist_cnn.onnx (two strided convolutions, two linear layers).

Pixels are in [0, 1]; ten scores, the largest wins. Both are trained on adversarial examples, the CNN
also on interval bounds, so that properties about small disturbances are neither trivial nor hopeless.
MNIST is read from the folder `data` under `VNNVERIFY_SHARED` (default: `shared` beside the repository).
"""

from __future__ import annotations

import os
from pathlib import Path

import torch
import torchvision
from onnx_file import write_model
from torch import Tensor, nn

HERE = Path(__file__).parent
SHARED = Path(os.environ.get("VNNVERIFY_SHARED", HERE.parent.parent / "shared"))


def mlp() -> nn.Sequential:
    """784-64-64-10."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )


def cnn() -> nn.Sequential:
    """4×4 convolutions with stride 2 to (4, 14, 14) and (8, 7, 7), then 392-16-10: 6,990 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(4, 8, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(392, 16), nn.ReLU(), nn.Linear(16, 10),
    )  # fmt: skip


def digits(train: bool) -> tuple[Tensor, Tensor]:
    """Images (count, 1, 28, 28) in [0, 1] and labels (count,)."""
    data = torchvision.datasets.MNIST(str(SHARED / "data"), train=train)
    return data.data[:, None].float() / 255, data.targets


def attacked(chain: nn.Sequential, x: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Images moved once along the sign of the gradient, from a random start within eps."""
    start = (x + (torch.rand_like(x) * 2 - 1) * eps).clamp(0, 1).requires_grad_()
    (grad,) = torch.autograd.grad(nn.functional.cross_entropy(chain(start), labels), start)
    return torch.clamp(start.detach() + eps * grad.sign(), x - eps, x + eps).clamp(0, 1)


def worst_scores(chain: nn.Sequential, x: Tensor, labels: Tensor, eps: float) -> Tensor:
    """Interval bounds (batch, 10): the label's score at its least, the others' at their largest."""
    centre, radius = x, torch.full_like(x, eps)
    for module in chain:
        if isinstance(module, nn.ReLU):
            low, high = (centre - radius).relu(), (centre + radius).relu()
            centre, radius = (low + high) / 2, (high - low) / 2
            continue
        centre = module(centre)
        if isinstance(module, nn.Linear):
            radius = radius @ module.weight.abs().T
        elif isinstance(module, nn.Conv2d):
            radius = nn.functional.conv2d(
                radius, module.weight.abs(), stride=module.stride, padding=module.padding
            )
        else:
            radius = module(radius)
    sign = 1 - 2 * nn.functional.one_hot(labels, 10)
    return centre + sign * radius


def train(chain: nn.Sequential, *, eps: float, interval_weight: float, epochs: int) -> nn.Sequential:
    """Adversarial training, with the interval loss mixed in; eps grows over the first half."""
    x, labels = digits(train=True)
    optimiser = torch.optim.Adam(chain.parameters(), lr=2e-3)
    steps, batch = epochs * (len(x) // 256), 256
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for step in range(steps):
        index = torch.randint(len(x), (batch,))
        now = eps * min(1.0, 2 * step / steps)
        images, targets = x[index], labels[index]
        loss = nn.functional.cross_entropy(chain(attacked(chain, images, targets, now)), targets)
        if interval_weight:
            bound = nn.functional.cross_entropy(worst_scores(chain, images, targets, now), targets)
            loss = loss + interval_weight * bound
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    test, expected = digits(train=False)
    print(f"accuracy {(chain(test).argmax(1) == expected).float().mean().item():.4f}")
    return chain


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(1)
    write_model(
        HERE / "mnist_mlp.onnx",
        train(mlp(), eps=0.06, interval_weight=0.0, epochs=6),
        (1, 1, 28, 28),
        10,
    )
    write_model(
        HERE / "mnist_cnn.onnx",
        train(cnn(), eps=0.06, interval_weight=0.02, epochs=5),
        (1, 1, 28, 28),
        10,
    )
