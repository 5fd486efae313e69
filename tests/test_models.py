"""Any timm encoder, any head; what does not fit is refused with a reason."""

import pytest
import safetensors.torch
import timm
import torch

from fgcl_utils.methods import embedding
from fgcl_utils.models import ModelError, build_encoder, build_model, classifier_of


@pytest.mark.parametrize(
    ("model_name", "image_size"),
    [
        ("vit_demo_patch8_64", 64),
        ("vit_demo_patch8_64", 96),
        ("swin_demo_patch4_window4_64", 64),
        ("swin_tiny_patch4_window7_224", 64),
        ("convnext_atto", 64),
        ("test_efficientnet", 48),
        ("test_vit", 64),
    ],
)
def test_encoders_take_the_image_size(model_name, image_size):
    model = build_model(model_name=model_name, image_size=image_size, head="mlp", projection_dim=16)
    features, projections, logits = model(torch.rand(2, 3, image_size, image_size))
    assert features.ndim == 2
    assert projections.shape == (2, 16)
    assert logits is None
    projections.square().sum().backward()


@pytest.mark.parametrize(("head", "width"), [("none", 64), ("linear", 16), ("mlp", 16)])
def test_heads(head, width):
    model = build_model(
        model_name="vit_demo_patch8_64", image_size=64, head=head, projection_dim=16, n_classes=[5]
    )
    features, projections, logits = model(torch.rand(2, 3, 64, 64))
    assert projections.shape == (2, width)
    torch.testing.assert_close(embedding(projections, None, "supcon").norm(dim=1), torch.ones(2))
    torch.testing.assert_close(logits, model.classifier(features))


def test_without_a_head_the_embedding_is_the_encoder_s():
    model = build_model(model_name="vit_demo_patch8_64", image_size=64, n_classes=[5])
    features, projections, logits = model(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    torch.testing.assert_close(
        embedding(projections, None, "supcon"), torch.nn.functional.normalize(features)
    )


def test_pixels_are_normalised_as_the_model_expects():
    model = build_model(model_name="vit_demo_patch8_64", image_size=64).eval()
    seen = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(torch.full((1, 3, 64, 64), 0.75))
    torch.testing.assert_close(seen[0], torch.full((1, 3, 64, 64), 0.5))


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_weights_from_a_file(tmp_path, suffix):
    source = timm.create_model("test_vit", img_size=64)  # with its classifier
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(source.state_dict(), path)
    else:
        safetensors.torch.save_file(source.state_dict(), path)
    encoder = build_encoder("test_vit", 64, str(path))
    torch.testing.assert_close(encoder.blocks[3].attn.qkv.weight, source.blocks[3].attn.qkv.weight)
    # position embeddings are resized to another image size
    assert build_encoder("test_vit", 96, str(path)).pos_embed.shape[1] == 6 * 6 + 1


def test_weights_of_another_model_are_refused(tmp_path):
    path = tmp_path / "weights.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), path)
    with pytest.raises(ModelError, match=r"does not fit 'test_vit' at 64 px .*are not in the file"):
        build_encoder("test_vit", 64, str(path))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"x": Evil()}, tmp_path / "weights.pth")
    with pytest.raises(ModelError, match="does not fit"):
        build_encoder("test_vit", 64, str(tmp_path / "weights.pth"))
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vitt_tiny_patch16_224", 64), "no timm model. Close: .*vit_tiny_patch16_224"),
        (("test_vit", 64, "nowhere.pth"), "there is no such file"),
        (
            ("vit_demo_patch8_64", 64, "pretrained"),
            "no pretrained weights for 'vit_demo_patch8_64'",
        ),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ModelError, match=message):
        build_encoder(*arguments)


def test_classifiers_on_blocks_read_their_own_block_only():
    classifier = classifier_of(16, (5, 3), (12, 4))
    projections = torch.randn(7, 16, generator=torch.Generator().manual_seed(0))
    other = projections.clone()
    other[:, 12:] += 1  # the second level's block
    fine, coarse = classifier(projections).split((5, 3), dim=1)
    fine_of_other, coarse_of_other = classifier(other).split((5, 3), dim=1)
    assert torch.equal(fine, fine_of_other) and not torch.isclose(coarse, coarse_of_other).any()
    assert classifier_of(16, ()) is None
