"""Llama (Touvron et al. 2023) and what differs from it a little: Mistral (Jiang et al. 2023), Qwen2
(Yang et al. 2024), Qwen3 (Yang et al. 2025). From their papers and the shapes of their checkpoints."""

import math
from functools import partial

import torch
from golden import Weights, attend, heads, linear, write_decoder
from rope import turn


def head_dim(c):
    return c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]


def weights_of(c, seed):
    w, width, inner, d = Weights(seed), c["hidden_size"], c["intermediate_size"], head_dim(c)
    q, kv = c["num_attention_heads"] * d, c["num_key_value_heads"] * d
    biased = c.get("attention_bias", False)
    w.table("model.embed_tokens", c["vocab_size"], width)
    for i in range(c["num_hidden_layers"]):
        layer = f"model.layers.{i}"
        w.norm(f"{layer}.input_layernorm", width)
        for name, rows in [("q", q), ("k", kv), ("v", kv)]:
            bias = biased or c["model_type"] == "qwen2"
            w.matrix(f"{layer}.self_attn.{name}_proj", rows, width, bias=bias)
        w.matrix(f"{layer}.self_attn.o_proj", width, q, bias=biased)
        if c["model_type"] == "qwen3":
            w.norm(f"{layer}.self_attn.q_norm", d)
            w.norm(f"{layer}.self_attn.k_norm", d)
        w.norm(f"{layer}.post_attention_layernorm", width)
        w.matrix(f"{layer}.mlp.gate_proj", inner, width)
        w.matrix(f"{layer}.mlp.up_proj", inner, width)
        w.matrix(f"{layer}.mlp.down_proj", width, inner)
    w.norm("model.norm", width)
    if not c["tie_word_embeddings"]:
        w.matrix("lm_head", c["vocab_size"], width)
    return w


def window_of(c, layer):
    if c["model_type"] == "mistral":
        return c["sliding_window"]
    if c.get("use_sliding_window"):
        kinds = c.get("layer_types")
        slides = kinds[layer] == "sliding_attention" if kinds else layer >= c["max_window_layers"]
        return c["sliding_window"] if slides else None
    return None


def logits_of(c, w):
    eps, d = c["rms_norm_eps"], head_dim(c)
    newer = c.get("rope_parameters") or {}
    scaling = newer or c.get("rope_scaling") or {}
    theta = newer.get("rope_theta", c.get("rope_theta"))
    groups = c["num_attention_heads"] // c["num_key_value_heads"]

    def rms(name, x):
        return x / ((x**2).mean(-1, keepdim=True) + eps).sqrt() * w.at(f"{name}.weight")

    def attention(name, x, window):
        q = heads(linear(w, f"{name}.q_proj", x), c["num_attention_heads"])
        k = heads(linear(w, f"{name}.k_proj", x), c["num_key_value_heads"])
        v = heads(linear(w, f"{name}.v_proj", x), c["num_key_value_heads"])
        if f"{name}.q_norm.weight" in w:
            q, k = rms(f"{name}.q_norm", q), rms(f"{name}.k_norm", k)
        q, k = (turn(t, theta, d, scaling, c["max_position_embeddings"]) for t in (q, k))
        k, v = (t.repeat_interleave(groups, 0) for t in (k, v))
        return linear(w, f"{name}.o_proj", attend(q, k, v, 1 / math.sqrt(d), window))

    def mlp(name, x):
        gate = linear(w, f"{name}.gate_proj", x)
        return linear(w, f"{name}.down_proj", gate * gate.sigmoid() * linear(w, f"{name}.up_proj", x))

    def logits(ids):
        x = w.at("model.embed_tokens.weight")[ids]
        for i in range(c["num_hidden_layers"]):
            layer = f"model.layers.{i}"
            y = rms(f"{layer}.input_layernorm", x)
            x = x + attention(f"{layer}.self_attn", y, window_of(c, i))
            x = x + mlp(f"{layer}.mlp", rms(f"{layer}.post_attention_layernorm", x))
        head = "model.embed_tokens" if c["tie_word_embeddings"] else "lm_head"
        return rms("model.norm", x) @ w.at(f"{head}.weight").T

    return logits


config = {
    "model_type": "llama",
    "vocab_size": 41,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "hidden_act": "silu",
    "max_position_embeddings": 48,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
wide = {"head_dim": 16, "rope_theta": 1000.0}
trained = {"original_max_position_embeddings": 16}

for name, change in [
    ("llama", {"tie_word_embeddings": False, "attention_bias": True}),
    # SmolLM's shape: Llama with a tied head and an odd number of key heads.
    ("smollm", {"num_attention_heads": 6, "num_key_value_heads": 3, "head_dim": None, "hidden_size": 24}),
    ("llama-linear", {**wide, "rope_scaling": {"type": "linear", "factor": 4.0}}),
    ("llama-dynamic", {**wide, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}),
    (
        "llama-3.1",
        {
            **wide,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                **trained,
            },
        },
    ),
    (
        "llama-yarn",
        {
            **wide,
            "rope_parameters": {
                "rope_type": "yarn",
                "rope_theta": 500.0,
                "factor": 3.0,
                "beta_fast": 2.0,
                "beta_slow": 0.1,
                **trained,
            },
        },
    ),
    ("mistral", {"model_type": "mistral", "sliding_window": 4, "tie_word_embeddings": False}),
    ("qwen2", {"model_type": "qwen2", "use_sliding_window": False, "sliding_window": 4, "max_window_layers": 0}),
    (
        "qwen2-window",
        {"model_type": "qwen2", "use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1},
    ),
    (
        "qwen3",
        {
            "model_type": "qwen3",
            "head_dim": 8,
            "rope_theta": 1000000.0,
            "attention_bias": False,
            "use_sliding_window": True,
            "sliding_window": 5,
            "layer_types": ["sliding_attention", "full_attention"],
        },
    ),
]:
    c = {**config, **change}
    write_decoder(name, c, partial(weights_of, c), partial(logits_of, c))
