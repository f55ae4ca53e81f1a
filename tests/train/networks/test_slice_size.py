"""Slices that no network takes."""

import pytest
import torch
from support.torch_networks import small

from ctpdeploy.errors import InputError
from ctpdeploy.paper.systems import SegmenterName
from ctpdeploy.train.networks.segmenters import SEGMENTERS


@pytest.mark.parametrize("name", SEGMENTERS)
def test_slice_that_is_no_multiple_of_the_stride_is_refused(name: SegmenterName) -> None:
    network = small(name)
    assert network.stride == (32 if name in ("fcn", "resunet") else 16)
    wrong = 5 * network.stride // 2
    with pytest.raises(InputError, match=f"multiples of {network.stride}, not 32x{wrong}"):
        network(torch.rand(2, 3, 32, wrong))
    with pytest.raises(InputError, match=f"not {wrong}x32"):
        network(torch.rand(2, 3, wrong, 32))
