"""GPT-2 (Radford et al. 2019), from its paper and the shapes of its checkpoints."""

import math
from functools import partial

import torch
from golden import Weights, attend, heads, layer_norm, linear, write_decoder


def gelu_new(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def weights_of(c, prefix, seed):
    w, width = Weights(seed), c["n_embd"]
    inner = c["n_inner"] or 4 * width
    w.table(f"{prefix}wte", c["vocab_size"], width)
    w.table(f"{prefix}wpe", c["n_positions"], width, 0.5)
    for i in range(c["n_layer"]):
        h = f"{prefix}h.{i}"
        w.norm(f"{h}.ln_1", width, bias=True)
        w.matrix(f"{h}.attn.c_attn", 3 * width, width, bias=True, transposed=True)
        w.matrix(f"{h}.attn.c_proj", width, width, bias=True, transposed=True)
        w.norm(f"{h}.ln_2", width, bias=True)
        w.matrix(f"{h}.mlp.c_fc", inner, width, bias=True, transposed=True)
        w.matrix(f"{h}.mlp.c_proj", width, inner, bias=True, transposed=True)
    w.norm(f"{prefix}ln_f", width, bias=True)
    if not c["tie_word_embeddings"]:
        w.matrix("lm_head", c["vocab_size"], width)
    return w


def logits_of(c, prefix, w):
    def logits(ids):
        width, eps, count = c["n_embd"], c["layer_norm_epsilon"], c["n_head"]
        x = w.at(f"{prefix}wte.weight")[ids] + w.at(f"{prefix}wpe.weight")[: len(ids)]
        for i in range(c["n_layer"]):
            h = f"{prefix}h.{i}"
            y = linear(w, f"{h}.attn.c_attn", layer_norm(w, f"{h}.ln_1", x, eps), True)
            q, k, v = (heads(part, count) for part in y.split(width, dim=-1))
            scale = 1 / math.sqrt(width / count) if c["scale_attn_weights"] else 1
            if c["scale_attn_by_inverse_layer_idx"]:
                scale /= i + 1
            x = x + linear(w, f"{h}.attn.c_proj", attend(q, k, v, scale), True)
            y = linear(w, f"{h}.mlp.c_fc", layer_norm(w, f"{h}.ln_2", x, eps), True)
            x = x + linear(w, f"{h}.mlp.c_proj", gelu_new(y), True)
        x = layer_norm(w, f"{prefix}ln_f", x, eps)
        head = f"{prefix}wte" if c["tie_word_embeddings"] else "lm_head"
        return x @ w.at(f"{head}.weight").T

    return logits


config = {
    "architectures": ["GPT2LMHeadModel"],
    "model_type": "gpt2",
    "vocab_size": 41,
    "n_positions": 48,
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 4,
    "n_inner": None,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "summary_type": "cls_index",
    "bos_token_id": 40,
    "eos_token_id": 40,
}

for name, prefix, change in [
    ("gpt2", "transformer.", {}),
    # As the first checkpoints of the Hub: no prefix.
    ("gpt2-bare", "", {}),
    (
        "gpt2-variants",
        "transformer.",
        {"n_inner": 24, "scale_attn_by_inverse_layer_idx": True, "tie_word_embeddings": False},
    ),
]:
    c = {**config, **change}
    write_decoder(name, c, partial(weights_of, c, prefix), partial(logits_of, c, prefix))
