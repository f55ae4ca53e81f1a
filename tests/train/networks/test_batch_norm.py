import torch
from torch import nn

from ctpdeploy.train.networks.batch_norm import BatchNorm2d, pool_slices


def test_without_a_process_group_it_is_pytorchs_own() -> None:
    ours, theirs = BatchNorm2d(3), nn.BatchNorm2d(3)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    generator = torch.Generator().manual_seed(0)
    for training in (True, True, False):
        x = torch.rand(4, 3, 5, 6, generator=generator)
        assert torch.equal(ours.train(training)(x), theirs.train(training)(x))
    for one, other in zip(ours.buffers(), theirs.buffers(), strict=True):
        assert torch.equal(one, other)


def test_statistics_of_slices_pool_to_those_of_their_pixels() -> None:
    x = torch.rand(4, 3, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 3 + 100
    var, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    pooled_mean, pooled_var, slices = pool_slices(mean, var)
    torch.testing.assert_close(pooled_mean, x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(pooled_var, x.var(dim=(0, 2, 3), correction=0))
    assert slices == 4
