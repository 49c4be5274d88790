"""Counting the matmuls a forward really runs, for models whose parts no formula describes."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class MatmulCounter(TorchDispatchMode):
    """Adds up ``flops`` of what runs inside, by torch's own table; in this thread only.

    torch's FlopCounterMode counts the same but hangs hooks on the modules of every thread.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=out)
        return out
