"""Where a model computes and in which precision, checked before anything is loaded.

``auto`` spreads a model over all CUDA GPUs, block by block; with one it means cuda, with none cpu.
Activations stay on one of them and go to a block's weights and back (engine/models/parts.py).
"""

from __future__ import annotations

import torch

from engine.errors import HeadlightError

DEVICES = ("cpu", "cuda", "mps", "auto")
DTYPES = {
    "auto": torch.float32,  # also on a GPU: effects are differences of nearly equal numbers
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


def check_device(device: str) -> str:
    """``device`` as it can be used here, ``auto`` only if there are several GPUs; raises HeadlightError otherwise."""
    if device not in DEVICES:
        raise HeadlightError(f"Expected a device out of {', '.join(DEVICES)}, got {device!r}.")
    if device == "auto":
        gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
        return ("cpu", "cuda")[gpus] if gpus < 2 else "auto"
    if device == "cuda" and not torch.cuda.is_available():
        raise HeadlightError(
            "This machine offers no CUDA device to torch. Use cpu, or install a torch build with CUDA for your GPU."
        )
    if device == "mps" and not torch.backends.mps.is_available():
        raise HeadlightError("This machine offers no Apple GPU (mps) to torch. Use cpu.")
    return device


def check_dtype(dtype: str, device: str) -> torch.dtype:
    """The torch dtype of a name; raises HeadlightError for an unknown one and for one the device lacks."""
    if dtype not in DTYPES:
        raise HeadlightError(f"Expected a dtype out of {', '.join(DTYPES)}, got {dtype!r}.")
    chosen = DTYPES[dtype]
    if device == "cpu" and chosen != torch.float32:
        raise HeadlightError(
            f"{dtype} is hundreds of times slower than float32 on a CPU. Use auto or float32 there, or a GPU."
        )
    if chosen == torch.bfloat16:
        lacking = _without_bfloat16(device)
        if lacking:
            raise HeadlightError(f"{lacking} cannot compute in bfloat16. Use float32 or float16 there.")
    return chosen


def free_cuda_bytes(device: str) -> int:
    """Memory free on the GPU that ``cuda`` means, or on all that ``auto`` does."""
    gpus = range(torch.cuda.device_count()) if device == "auto" else (torch.cuda.current_device(),)
    return sum(torch.cuda.mem_get_info(gpu)[0] for gpu in gpus)


def _without_bfloat16(device: str) -> str:
    """What of ``device`` has no bfloat16 of its own, in words; empty if it has."""
    if device == "mps":
        return "" if torch.backends.mps.is_macos_or_newer(14, 0) else "An Apple GPU before macOS 14"
    if not torch.cuda.is_available():
        return ""
    for gpu in range(torch.cuda.device_count()) if device == "auto" else (torch.cuda.current_device(),):
        with torch.cuda.device(gpu):
            if not torch.cuda.is_bf16_supported(including_emulation=False):
                return f"The GPU {torch.cuda.get_device_name(gpu)}"
    return ""
