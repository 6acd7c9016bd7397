#!/usr/bin/env python3
"""Writes testdata/goldens/combinations.json: what PEFT's add_weighted_adapter makes of small adapters.

    combinations.py > testdata/goldens/combinations.json

Needs torch and peft; no build or test does. The adapters' weights come from a hash (tests/adapters/combine_test.cc
has it too), so that the file holds results alone: for each case the product B A of the new adapter. Ways that drop
elements at random are asked to drop none.
"""
import json
import warnings

import torch
from peft import LoraConfig, get_peft_model

IN, OUT = 10, 12
RANKS = [2, 3, 3]
ALPHA = 4
MASK = 0xFFFFFFFF


def number(seed, index):
    """One of 2^16 values in [-1, 1), the same as in the test."""
    h = ((index + 1) * 2654435761 + seed * 40503) & MASK
    h ^= h >> 13
    h = h * 1274126177 & MASK
    return ((h >> 8) & 0xFFFF) / 32768 - 1


def matrix(seed, rows, cols):
    return torch.tensor([[number(seed, r * cols + c) for c in range(cols)] for r in range(rows)])


class Base(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.m = torch.nn.Linear(IN, OUT, bias=False)

    def forward(self, x):
        return self.m(x)


def model():
    peft = None
    for i, rank in enumerate(RANKS):
        config = LoraConfig(r=rank, lora_alpha=ALPHA, target_modules=["m"])
        if peft is None:
            peft = get_peft_model(Base(), config, adapter_name="0")
        else:
            peft.add_adapter(str(i), config)
        layer = peft.base_model.model.m
        layer.lora_A[str(i)].weight.data = matrix(2 * i, rank, IN)
        layer.lora_B[str(i)].weight.data = matrix(2 * i + 1, OUT, rank)
    return peft


def product(adapters, weights, **options):
    peft = model()
    peft.add_weighted_adapter([str(i) for i in adapters], weights, "new", **options)
    layer = peft.base_model.model.m
    delta = layer.scaling["new"] * layer.lora_B["new"].weight @ layer.lora_A["new"].weight
    return [float(f"{value:.8g}") for value in delta.flatten().tolist()]


def main():
    cases = []
    for way, adapters, more in [
        ("svd", [0, 1, 2], {}),
        ("ties_svd", [0, 1], {"density": 0.5}),
        ("ties_svd", [0, 1, 2], {"density": 0.3, "majority_sign_method": "frequency"}),
        ("magnitude_prune_svd", [0, 1, 2], {"density": 0.4}),
        ("dare_linear_svd", [0, 2], {"density": 1.0}),
        ("dare_ties_svd", [0, 1, 2], {"density": 1.0}),
        ("ties", [1, 2], {"density": 0.5, "majority_sign_method": "frequency"}),
        ("dare_ties", [1, 2], {"density": 1.0}),
    ]:
        weights = [0.7, -0.4, 1.5][: len(adapters)]
        options = dict(more, combination_type=way)
        if way.endswith("svd"):
            options["svd_rank"] = 2
        cases.append({"way": way, "adapters": adapters, "weights": weights, **more,
                      "product": product(adapters, weights, **options)})
    print(json.dumps({"in": IN, "out": OUT, "ranks": RANKS, "alpha": ALPHA, "cases": cases}, indent=None))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
