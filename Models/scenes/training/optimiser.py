"""Muon for the hidden matrices, AdamW for everything else; a linear warm-up, then half a cosine down to `floor`."""

import math

import torch


class Optimiser:
    def __init__(self, modules, lr, steps, warmup=100, decay=0.05, floor=0.02):
        matrices, others = [], []
        for module in modules:
            for name, p in module.named_parameters():
                hidden = p.ndim == 2 and "layers" in name or "projector" in name and p.ndim == 2 or name.startswith("last.") and p.ndim == 2
                (matrices if hidden else others).append(p)
        self.parts = [
            torch.optim.Muon(matrices, lr=lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
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
            part.zero_grad(set_to_none=True)

    def state_dict(self):
        return [p.state_dict() for p in self.parts]

    def load_state_dict(self, state):
        for part, s in zip(self.parts, state):
            part.load_state_dict(s)
