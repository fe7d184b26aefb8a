"""Several processes on one batch."""

import os

import torch
import torch.distributed


class Team:
    """The processes that share every batch (torchrun starts them); alone without it. One thread a process: on matrices this
    small two processes of one thread do more than one of two."""

    def __init__(self):
        self.size, self.rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
        if self.size > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo")

    def average(self, parameters):
        """Mean gradients of all processes."""
        if self.size == 1:
            return
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.reshape(-1) for p in parameters])
        torch.distributed.all_reduce(flat)
        flat /= self.size
        for p, g in zip(parameters, flat.split([p.numel() for p in parameters])):
            p.grad.copy_(g.view_as(p))


def save(state, path):
    torch.save(state, path + ".new")
    os.rename(path + ".new", path)
