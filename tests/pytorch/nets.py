# SPDX-License-Identifier: Apache-2.0
"""A module that a state dict of test_pytorch.py belongs to."""
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.last = torch.nn.Conv2d(3, 4, 3), torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.last(torch.relu(self.conv(x)).mean((2, 3)))
