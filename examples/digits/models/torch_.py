"""The network and its training step in PyTorch."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from examples.digits.specification import Specification
from plait.layers.torch import EinMix, Rearrange, Reduce


class Model:
    """The network as a `nn.Sequential`."""

    def __init__(self, specification: Specification) -> None:
        s = specification
        torch.manual_seed(s.seed)
        self.network = nn.Sequential(
            Rearrange(s.image_first, h=s.side),
            nn.Conv2d(1, s.channels, s.window, padding="same"),
            nn.ReLU(),
            Reduce(s.pool_first, "max"),
            EinMix(s.classify, s.classify_weight, s.classify_bias, f=s.features, k=s.digits),
        )
        self.optimizer = torch.optim.Adam(self.network.parameters(), s.rate)

    def step(self, images: np.ndarray, digits: np.ndarray) -> float:
        loss = nn.functional.cross_entropy(self.network(torch.from_numpy(images)), torch.from_numpy(digits))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.network(torch.from_numpy(images)).argmax(1).numpy()

    def count(self) -> int:
        return sum(parameter.numel() for parameter in self.network.parameters())
