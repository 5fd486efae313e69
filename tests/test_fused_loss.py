"""The kernels for GPUs: that they are right, on a CPU; and that nothing depends on them."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fgcl_utils.losses import tiles_or_kernels
from fgcl_utils.losses.log_sum_exp import LogSumExpOfOthers

CPU = torch.device("cpu")
trial = tiles_or_kernels._wins_a_trial


def test_kernels_pass_the_tests_of_the_losses():
    """All that hold for every way to compute a loss, and two processes, in Triton's interpreter."""
    pytest.importorskip("triton")
    tests = [Path(__file__).with_name(f"test_losses{of}.py") for of in ("", "_blocks")]
    command = [sys.executable, "-m", "pytest", "-v", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-k", "fused or two_processes", *tests],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
    assert "test_equals_the_slow_loop_in_value_and_gradient[fused] PASSED" in done.stdout


@pytest.mark.parametrize("dim", [12, 128, 256])
@pytest.mark.parametrize("dtype", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("name", ["_log2_sum_exp2", "_softmax_products"])
def test_kernels_compile_for_gpus_and_use_their_tensor_cores(name, dtype, dim):
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from fgcl_utils.losses import kernels

    kernel, config = getattr(kernels, name), kernels._CONFIGS[-2]
    product = getattr(kernels.tl, "float32" if dtype == "fp32" else "float16")
    width = max(16, triton.next_power_of_2(dim))
    constants = config.kwargs | {"DIM": dim, "WIDTH": width, "PRODUCT": product}
    signature = dict.fromkeys(kernel.arg_names, "*fp32") | dict.fromkeys(constants, "constexpr")
    signature |= {
        "rows": f"*{dtype}",
        "per_bound": "fp32",
        "start": "i32",
        "stop": "i32",
        "n": "i32",
    }
    for capability, products in ((80, "mma.sync"), (90, "wgmma")):
        compiled = triton.compile(
            ASTSource(kernel.fn, signature, constants),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": config.num_warps, "num_stages": config.num_stages},
        )
        assert products in compiled.asm["ptx"]


@pytest.fixture
def twin(monkeypatch):
    """Stands for the kernels: the tiles themselves, a little wrong, fast or broken if asked for."""

    class Twin:
        of_value, of_gradient, broken = 1.0, 1.0, False

        def __init__(self, z, per_length, dtype, n_anchors, bound, ranks):
            if self.broken:
                raise RuntimeError("no C compiler found")
            self.tiles = LogSumExpOfOthers(z, n_anchors, bound, ranks)
            self.value = self.tiles.value * self.of_value

        def gradient(self, z, weights):
            return self.tiles.gradient(z, weights) * self.of_gradient

    monkeypatch.setattr(tiles_or_kernels, "_fused", Twin)
    monkeypatch.setattr(tiles_or_kernels, "TRIAL_ROWS", 64)
    return Twin


@pytest.mark.parametrize("dtype", tiles_or_kernels.TOLERANCES)
@pytest.mark.parametrize("faster", [True, False])
def test_the_faster_way_is_taken(twin, dtype, faster, monkeypatch):
    seconds = iter([1.0, 2.0] if faster else [2.0, 1.0])
    monkeypatch.setattr(tiles_or_kernels, "_seconds", lambda compute: next(seconds))
    assert trial(CPU, dtype, 16) == faster


def test_a_trial_takes_time():
    assert tiles_or_kernels._seconds(lambda: [torch.randn(100, 100) @ torch.randn(100, 100)]) > 0


@pytest.mark.parametrize(
    "wrong", [{"of_value": 1.02}, {"of_gradient": 0.98}, {"of_value": math.nan}]
)
def test_kernels_that_are_wrong_are_not_used(twin, wrong):
    for name, factor in wrong.items():
        setattr(twin, name, factor)
    with pytest.warns(RuntimeWarning, match=r"off by (0\.02|nan) .* same without them"):
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


@pytest.mark.parametrize(
    ("device", "dtype", "dim", "capability", "hip", "tried"),
    [
        ("cuda", torch.bfloat16, 128, (9, 0), None, True),
        ("cuda", torch.float32, 256, (8, 0), None, True),
        ("cpu", torch.float32, 128, (9, 0), None, False),
        ("cuda", torch.float64, 128, (9, 0), None, False),
        ("cuda", torch.float32, 512, (9, 0), None, False),
        ("cuda", torch.float16, 128, (7, 5), None, False),
        ("cuda", torch.float16, 128, (9, 4), "6.2", False),
    ],
)
def test_only_what_the_kernels_are_for_is_tried(
    monkeypatch, device, dtype, dim, capability, hip, tried
):
    pytest.importorskip("triton")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(tiles_or_kernels, "_wins_a_trial", lambda *_: True)
    assert tiles_or_kernels.fused_is_faster.__wrapped__(torch.device(device), dtype, dim) == tried
