# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import torch

from vnnverify.numerics import direct_convolutions


def test_direct_convolutions_leave_the_settings_as_they_were() -> None:
    def settings() -> tuple[bool, bool, bool]:
        backends = torch.backends
        return backends.cudnn.enabled, backends.cudnn.allow_tf32, torch._C._get_nnpack_enabled()

    before = settings()
    with pytest.raises(ZeroDivisionError), direct_convolutions():
        assert not torch.backends.cudnn.enabled and not torch._C._get_nnpack_enabled()
        raise ZeroDivisionError
    assert settings() == before
