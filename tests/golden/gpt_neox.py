"""GPT-NeoX (Black et al. 2022) and Pythia, from the paper and the shapes of their checkpoints."""

import math
from functools import partial

import torch
from golden import Weights, attend, layer_norm, linear, write_decoder
from rope import turn

BODY = "gpt_neox"


def weights_of(c, seed):
    w, width, inner = Weights(seed), c["hidden_size"], c["intermediate_size"]
    w.table(f"{BODY}.embed_in", c["vocab_size"], width)
    for i in range(c["num_hidden_layers"]):
        layer = f"{BODY}.layers.{i}"
        w.norm(f"{layer}.input_layernorm", width, bias=True)
        w.norm(f"{layer}.post_attention_layernorm", width, bias=True)
        w.matrix(f"{layer}.attention.query_key_value", 3 * width, width, bias=True)
        w.matrix(f"{layer}.attention.dense", width, width, bias=True)
        w.matrix(f"{layer}.mlp.dense_h_to_4h", inner, width, bias=True)
        w.matrix(f"{layer}.mlp.dense_4h_to_h", width, inner, bias=True)
    w.norm(f"{BODY}.final_layer_norm", width, bias=True)
    if not c["tie_word_embeddings"]:
        w.matrix("embed_out", c["vocab_size"], width)
    return w


def gelu(x):
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def logits_of(c, w):
    count, eps, length = c["num_attention_heads"], c["layer_norm_eps"], c["max_position_embeddings"]
    d = c["hidden_size"] // count
    turning = int(d * c["rotary_pct"])

    def attention(name, x):
        # Rows of the fused matrix: for each head its query, its key, its value.
        y = linear(w, f"{name}.query_key_value", x).reshape(len(x), count, 3, d)
        q, k, v = (y[:, :, i].transpose(0, 1) for i in range(3))
        q, k = (turn(t, c["rotary_emb_base"], turning, {}, length) for t in (q, k))
        return linear(w, f"{name}.dense", attend(q, k, v, 1 / math.sqrt(d)))

    def mlp(name, x):
        return linear(w, f"{name}.dense_4h_to_h", gelu(linear(w, f"{name}.dense_h_to_4h", x)))

    def logits(ids):
        x = w.at(f"{BODY}.embed_in.weight")[ids]
        for i in range(c["num_hidden_layers"]):
            layer = f"{BODY}.layers.{i}"
            mixed = attention(f"{layer}.attention", layer_norm(w, f"{layer}.input_layernorm", x, eps))
            after = x if c["use_parallel_residual"] else x + mixed
            inner = mlp(f"{layer}.mlp", layer_norm(w, f"{layer}.post_attention_layernorm", after, eps))
            x = x + mixed + inner
        x = layer_norm(w, f"{BODY}.final_layer_norm", x, eps)
        head = f"{BODY}.embed_in" if c["tie_word_embeddings"] else "embed_out"
        return x @ w.at(f"{head}.weight").T

    return logits


config = {
    "architectures": ["GPTNeoXForCausalLM"],
    "model_type": "gpt_neox",
    "vocab_size": 41,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_act": "gelu",
    "max_position_embeddings": 48,
    "layer_norm_eps": 1e-5,
    "rotary_pct": 0.5,
    "rotary_emb_base": 100,
    "use_parallel_residual": True,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 0,
}

for name, change in [
    ("gpt-neox", {}),
    (
        "gpt-neox-sequential",
        {"use_parallel_residual": False, "tie_word_embeddings": True, "rotary_pct": 0.25},
    ),
]:
    c = {**config, **change}
    write_decoder(name, c, partial(weights_of, c), partial(logits_of, c))
