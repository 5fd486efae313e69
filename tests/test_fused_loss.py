"""The kernels for GPUs: that they are right, on a CPU; and that nothing depends on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fgcl_utils.losses import choice
from fgcl_utils.losses.others import LogSumExpOfOthers

CPU = torch.device("cpu")
PRODUCTS = {"bf16": "bfloat16", "fp16": "bfloat16", "fp32": "float32"}
trial = choice._wins_a_trial.__wrapped__


def test_kernels_pass_the_tests_of_the_losses():
    """All that hold for every way to compute a loss, and two processes, in Triton's interpreter."""
    pytest.importorskip("triton")
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", "fused or two_processes", Path(__file__).parent / "test_losses.py"],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("name", ["_log2_sum_exp2", "_softmax_products"])
def test_kernels_compile_for_gpus_and_use_their_tensor_cores(name, dtype, capability):
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from fgcl_utils.losses import fused

    kernel = getattr(fused, name)
    config, sizes = fused._CONFIGS[-1], {"DIM": 128, "WIDTH": 128}
    constants = config.kwargs | sizes | {"PRODUCT": getattr(fused.tl, PRODUCTS[dtype])}
    pointers = {"rows": f"*{dtype}"} | dict.fromkeys(kernel.arg_names[1:-8], "*fp32")
    integers = dict.fromkeys(["start", "stop", "n"], "i32")
    signature = pointers | integers | dict.fromkeys(constants, "constexpr")
    compiled = triton.compile(
        ASTSource(kernel.fn, {k: signature[k] for k in kernel.arg_names}, constants),
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": config.num_warps, "num_stages": config.num_stages},
    )
    assert "mma" in compiled.asm["ptx"]
    assert compiled.metadata.shared < 64 * 1024


@pytest.fixture
def twin(monkeypatch):
    """Stands for the kernels: the tiles themselves, a little wrong, fast or broken if asked for."""

    class Twin(LogSumExpOfOthers):
        factor, seconds, broken = 1.0, 0.0, False

        def __init__(self, z, per_length, dtype, n_anchors, ranks):
            if self.broken:
                raise RuntimeError("no C compiler found")
            super().__init__(z, n_anchors, 10.0, ranks)

        def gradient(self, z, weights):
            return self.factor * super().gradient(z, weights)

    monkeypatch.setattr(choice, "_fused", Twin)
    monkeypatch.setattr(choice, "TRIAL_ROWS", 64)
    return Twin


@pytest.mark.parametrize("dtype", choice.FUSED_DTYPES)
@pytest.mark.parametrize("faster", [True, False])
def test_the_faster_way_is_taken(twin, dtype, faster, monkeypatch):
    seconds = iter([1.0, 2.0] if faster else [2.0, 1.0])
    monkeypatch.setattr(choice, "_seconds", lambda compute: next(seconds))
    assert trial(CPU, dtype, 16) == faster


def test_a_trial_takes_time():
    assert choice._seconds(lambda: [torch.randn(100, 100) @ torch.randn(100, 100)]) > 0


def test_kernels_that_are_wrong_are_not_used(twin):
    twin.factor = 1.02
    with pytest.warns(RuntimeWarning, match=r"differs by 2\.0% .* same without them"):
        assert not trial(CPU, torch.bfloat16, 16)


def test_kernels_that_fail_are_not_used(twin):
    twin.broken = True
    with pytest.warns(RuntimeWarning, match="no C compiler found"):
        assert not trial(CPU, torch.float32, 16)


def test_a_trial_leaves_the_random_numbers_alone(twin):
    torch.manual_seed(0)
    expected = torch.rand(())
    torch.manual_seed(0)
    trial(CPU, torch.float32, 16)
    assert torch.rand(()) == expected


def test_a_cpu_and_double_precision_have_tiles():
    assert not choice.fused_is_faster(CPU, torch.float32, 16)
    assert not choice.fused_is_faster(torch.device("cuda"), torch.float64, 16)
