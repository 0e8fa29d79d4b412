"""Encoder layers as PyTorch has them (torch.nn.TransformerEncoderLayer), filled from named weights: a
reference that shares no code with the library, nor with the decoders' scripts. In float64."""

import json

import torch
from torch import nn

from golden import FIXTURES, write_safetensors


def layer(w, names, width, heads, inner, eps, norm_first):
    """names: q, k, v, o, up, down, norm1, norm2."""
    made = nn.TransformerEncoderLayer(
        width, heads, inner, 0.0, nn.functional.gelu, eps, True, norm_first, dtype=torch.float64
    )
    parts = [w.at(f"{names[p]}.weight") for p in "qkv"]
    biases = [
        w.at(f"{names[p]}.bias") if f"{names[p]}.bias" in w else torch.zeros(width) for p in "qkv"
    ]
    state = {
        "self_attn.in_proj_weight": torch.cat(parts),
        "self_attn.in_proj_bias": torch.cat(biases),
    }
    own = {"o": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
    for part, name in {**own, "norm1": "norm1", "norm2": "norm2"}.items():
        for kind in ["weight", "bias"]:
            state[f"{name}.{kind}"] = w.at(f"{names[part]}.{kind}")
    made.load_state_dict(state)
    # Training mode: the fast path of evaluation is float32's.
    return made.train()


def norm(w, name, x, eps):
    return nn.functional.layer_norm(
        x, x.shape[-1:], w.at(f"{name}.weight"), w.at(f"{name}.bias"), eps
    )


def affine(w, name, x):
    return nn.functional.linear(x, w.at(f"{name}.weight"), w.at(f"{name}.bias"))


def write(name, config, weights, inputs, outputs):
    """One golden of a whole batch."""
    tensors = dict(weights)
    for key, value in inputs.items():
        tensors[f"golden.0.input.{key}"] = value
    for key, value in outputs.items():
        tensors[f"golden.0.output.{key}"] = value.detach().float()
    (FIXTURES / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(FIXTURES / f"{name}.safetensors", tensors)
    print(name, sum(t.numel() for t in weights.values()), "parameters")
