"""Muon for the hidden matrices, AdamW for everything else; a linear warm-up, then half a cosine down to `floor`."""

import math

import torch
import torch.distributed


class Optimiser:
    """Several processes (`size`, this one being `rank`) share the matrices, whose update costs most, and tell each other."""

    def __init__(self, modules, lr, steps, warmup=100, decay=0.05, floor=0.02, rank=0, size=1):
        matrices, others = [], []
        for module in modules:
            for name, p in module.named_parameters():
                hidden = p.ndim == 2 and "layers" in name or "projector" in name and p.ndim == 2 or name.startswith("last.") and p.ndim == 2
                (matrices if hidden else others).append(p)
        self.shares = [matrices[r::size] for r in range(size)]
        self.parts = [
            torch.optim.Muon(self.shares[rank], lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, lr=lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.parameters, self.lr, self.steps, self.warmup, self.floor = matrices + others, lr, steps, warmup, floor

    def rate(self, step):
        if step < self.warmup:
            return self.lr * (step + 1) / self.warmup
        t = min(1, (step - self.warmup) / max(1, self.steps - self.warmup))
        return self.lr * (self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * t)))

    def step(self, step):
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.rate(step)
            part.step()
        for p in self.parameters:
            p.grad = None
        if len(self.shares) > 1:
            for owner, share in enumerate(self.shares):
                flat = torch.cat([p.data.reshape(-1) for p in share])
                torch.distributed.broadcast(flat, owner)
                for p, values in zip(share, flat.split([p.numel() for p in share])):
                    p.data.copy_(values.view_as(p))

    def state_dict(self):
        return [p.state_dict() for p in self.parts]

    def load_state_dict(self, state):
        for part, s in zip(self.parts, state):
            part.load_state_dict(s)
