# SPDX-License-Identifier: Apache-2.0
"""Makes controller.onnx: an aircraft that gives way to another one, 5 inputs, 6 × 25 ReLUs, 5 costs.

Inputs, each scaled to [-0.5, 0.5] by `RANGES`: distance to the intruder (m), its bearing and its
heading relative to ours (rad, counter-clockwise), our speed and its speed (m/s). Outputs are the
costs of five advisories, turn rates in `TURNS`: the one with the *least* cost is flown.

The cost of an advisory is computed by flying it: both aircraft are simulated for `HORIZON` seconds,
the intruder straight on; coming closer than `CLEAR` metres costs up to 1, turning costs a little.
The network is fitted to these costs on random encounters.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import torch
from onnx_file import write_model
from torch import Tensor, nn

RANGES = ((0.0, 12000.0), (-math.pi, math.pi), (-math.pi, math.pi), (50.0, 250.0), (0.0, 250.0))
TURNS = (0.0, 1.5, -1.5, 3.0, -3.0)  # degrees per second: clear of conflict, weak and strong, left and right
HORIZON, STEPS, CLEAR = 40.0, 40, 1500.0
SIZES = (5, 25, 25, 25, 25, 25, 25, 5)


def costs(x: Tensor) -> Tensor:
    """Costs (batch, 5) of the advisories at scaled inputs x (batch, 5)."""
    low, high = (torch.tensor(ends) for ends in zip(*RANGES, strict=True))
    distance, bearing, heading, own, other = ((x + 0.5) * (high - low) + low).unbind(1)
    t = torch.linspace(0.0, HORIZON, STEPS)
    ahead = (distance * bearing.cos())[:, None] + (other * heading.cos())[:, None] * t
    left = (distance * bearing.sin())[:, None] + (other * heading.sin())[:, None] * t
    columns = []
    for turn in TURNS:
        angle = math.radians(turn) * t
        dt = HORIZON / (STEPS - 1)
        own_ahead = own[:, None] * torch.cumsum(angle.cos(), 0) * dt
        own_left = own[:, None] * torch.cumsum(angle.sin(), 0) * dt
        nearest = torch.hypot(ahead - own_ahead, left - own_left).amin(dim=1)
        columns.append((1.0 - nearest / CLEAR).clamp(min=0.0) + 0.02 * abs(turn))
    return torch.stack(columns, dim=1)


def train(seed: int = 0, rounds: int = 12000, batch: int = 512) -> nn.Sequential:
    """Fit the network to `costs`; about two minutes on one core."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(SIZES):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    chain = nn.Sequential(*layers[:-1])
    optimiser = torch.optim.Adam(chain.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, rounds)
    for number in range(rounds):
        x = torch.rand(batch, 5) - 0.5
        x[::2, 0] = torch.rand(batch // 2) * 0.4 - 0.5  # half of the encounters are near ones
        loss = nn.functional.smooth_l1_loss(chain(x), costs(x), beta=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if number % 2000 == 0 or number == rounds - 1:
            print(f"round {number}: loss {loss.item():.4f}")
    return chain


if __name__ == "__main__":
    torch.set_num_threads(1)
    write_model(Path(__file__).with_name("controller.onnx"), train(), (1, 5), 5)
