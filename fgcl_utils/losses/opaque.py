"""A step that torch.compile leaves alone, without loading the compiler for it."""

import functools

import torch


def opaque(forward):
    """As `torch.compiler.disable`, which at once loads the compiler: a second of every start."""

    @functools.wraps(forward)
    def step(*arguments, **named):
        if torch.compiler.is_compiling():  # then it is loaded
            return torch.compiler.disable(forward)(*arguments, **named)
        return forward(*arguments, **named)

    return step
