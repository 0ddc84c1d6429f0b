"""Randomness comes from names, and is put back."""

from __future__ import annotations

import torch

from bench.seeds import derive, seeded

CPU = torch.device("cpu")


def test_equal_names_give_equal_seeds_and_others_do_not():
    seeds = {derive("steal", "digits", n, name) for n in range(20) for name in "ab"}

    assert derive("steal", "digits", 3, "a") in seeds
    assert len(seeds) == 40
    assert derive("ab", "c") != derive("a", "bc"), "names do not run together"
    assert all(0 <= seed < 2**63 for seed in seeds), "torch wants them so"


def test_layers_and_draws_repeat_inside_and_the_outside_is_untouched():
    torch.manual_seed(1)
    outside = torch.rand(2)
    torch.manual_seed(1)

    draws = []
    for _ in range(2):
        with seeded(7, CPU) as generator:
            draws.append((torch.nn.Linear(2, 2).weight, torch.rand(3), generator))

    assert torch.equal(draws[0][0], draws[1][0])
    assert torch.equal(draws[0][1], draws[1][1])
    assert torch.equal(
        torch.rand(2, generator=draws[0][2]), torch.rand(2, generator=draws[1][2])
    )
    assert torch.equal(torch.rand(2), outside)
