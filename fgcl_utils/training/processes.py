"""One process or many, on whatever device there is: accelerate's part in a run.

Under ``accelerate launch`` every process holds its share of each batch, and a run is the one that a
single process with the whole batch would make: the losses see the batch of all, gradients are
averaged, batch normalisation takes its statistics over all GPUs, and what is measured is gathered.
Dropout alone differs, since every process draws its own. (Processes without GPUs normalise their
own share: several of them serve tests, not users.)
"""

import os
from datetime import timedelta

import numpy as np
import torch
from accelerate import Accelerator, PartialState, notebook_launcher
from accelerate.state import AcceleratorState
from accelerate.utils import parse_flag_from_env
from threadpoolctl import threadpool_limits
from timm.layers import convert_sync_batchnorm

from fgcl_utils.settings import SettingsError

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
        raise SettingsError("precision='float16' needs a CUDA device: use auto or float32")
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
    """`model`, on several GPUs with its batch normalisation over the batch of all of them."""
    several = accelerator.num_processes > 1 and accelerator.device.type == "cuda"
    return convert_sync_batchnorm(model) if several else model
