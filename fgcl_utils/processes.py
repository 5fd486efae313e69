"""One process or many, on whatever device there is: accelerate's part in a run.

Under ``accelerate launch`` every process holds its share of each batch, and a run is the one that a
single process with the whole batch would make: the losses see the batch of all, gradients are
averaged, batch normalisation takes its statistics over all processes, and what is measured is
gathered. Dropout alone differs, since every process draws its own.
"""

import contextlib
import os
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator, PartialState, notebook_launcher
from accelerate.state import AcceleratorState
from accelerate.utils import parse_flag_from_env
from threadpoolctl import threadpool_limits
from timm.layers import convert_sync_batchnorm
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fgcl_utils import runs

# The others wait while one decodes the images or measures the embeddings. That a process has died
# is noticed by the launcher, long before this.
_PATIENCE = timedelta(days=1)


def make_accelerator(precision):
    """Accelerator on the best device; ``auto`` is bfloat16 where CUDA has it, else float32."""
    # accelerate launch --cpu sets the flag; torchrun on a machine without GPUs says nothing.
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or (several and not torch.cuda.is_available())
    on_cuda = PartialState(cpu, timeout=_PATIENCE).device.type == "cuda"
    if precision == "auto":
        precision = "bfloat16" if on_cuda and torch.cuda.is_bf16_supported() else "float32"
    if precision == "float16" and not on_cuda:
        raise runs.SettingsError("precision='float16' needs a CUDA device: use auto or float32")
    # The precision is process-wide in accelerate; a notebook may change it between two runs.
    AcceleratorState._reset_state()
    names = {"float32": "no", "bfloat16": "bf16", "float16": "fp16"}
    return Accelerator(mixed_precision=names[precision])


def on_every_gpu(function, *arguments):
    """Call `function` in one process a GPU if this is a notebook or script that sees several.

    Started by ``accelerate launch``, or with one GPU or none, it is called here. Processes for
    GPUs are forked, which CUDA forbids once it is in use: then one GPU has to do.
    """
    n_gpus = 0 if "LOCAL_RANK" in os.environ else torch.cuda.device_count()
    if n_gpus > 1 and torch.cuda.is_initialized():
        print(f"this kernel uses CUDA already: one of {n_gpus} GPUs serves. Restart it for all")
    elif n_gpus > 1:
        return notebook_launcher(_in_one_thread, (function, *arguments), num_processes=n_gpus)
    return function(*arguments)


def _in_one_thread(function, *arguments):
    """Call `function` in a forked process, and let no library in it start threads.

    They would wait for ever, if the notebook has used OpenMP's: these are not there after a fork.
    """
    torch.set_num_threads(1)
    with threadpool_limits(1):
        return function(*arguments)


def share_of(indices, accelerator):
    """This process's part of `indices` (n,): equally many in each, the last ones repeat some."""
    n_each = -(-len(indices) // accelerator.num_processes)
    return np.resize(indices, (accelerator.num_processes, n_each))[accelerator.process_index]


def gathered(rows, n, accelerator):
    """The first `n` rows of all processes' `rows` in the order of `share_of`, on the CPU."""
    if accelerator.num_processes > 1:
        rows = accelerator.gather(rows.to(accelerator.device))[:n]
    return rows.cpu()


def share_batch_norm(model, accelerator):
    """`model` with its batch normalisation over the batch of all processes.

    Returns the model and the context in which its forward passes take place.
    """
    if accelerator.num_processes == 1:
        return model, contextlib.nullcontext()
    if accelerator.device.type == "cuda":
        return convert_sync_batchnorm(model), contextlib.nullcontext()
    return model, _BatchNormOverProcesses()


class _BatchNormOverProcesses(TorchFunctionMode):
    """What torch's SyncBatchNorm does on GPUs only, for every batch norm called inside."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is F.batch_norm:
            function = _batch_norm_over_processes
        return function(*args, **(kwargs or {}))


def _batch_norm_over_processes(
    x, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
):
    """`torch.nn.functional.batch_norm` with statistics over the rows of all processes."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    others = [0, *range(2, x.ndim)]  # all dimensions but the channels'
    shape = [1, -1] + [1] * (x.ndim - 2)
    n = _Sum.apply(x.new_tensor(x.numel() // x.shape[1]))
    mean = _Sum.apply(x.sum(others)) / n  # (C,)
    centred = x - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(others)) / n  # (C,)
    if running_mean is not None:
        running_mean.lerp_(mean.detach(), momentum)
        running_var.lerp_(variance.detach() * n / (n - 1), momentum)
    y = centred * (variance + eps).rsqrt().view(shape)
    return y if weight is None else y * weight.view(shape) + bias.view(shape)


class _Sum(torch.autograd.Function):
    """The sum over processes; so is the gradient's."""

    @staticmethod
    def forward(ctx, x):
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient):
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
