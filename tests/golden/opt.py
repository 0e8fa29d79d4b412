"""OPT (Zhang et al. 2022), from its paper and the shapes of its checkpoints."""

import math
from functools import partial

from golden import Weights, attend, heads, layer_norm, linear, write_decoder

EPS = 1e-5
BODY = "model.decoder"


def weights_of(c, seed):
    w, width, narrow = Weights(seed), c["hidden_size"], c["word_embed_proj_dim"]
    w.table(f"{BODY}.embed_tokens", c["vocab_size"], narrow)
    w.table(f"{BODY}.embed_positions", c["max_position_embeddings"] + 2, width, 0.5)
    if narrow != width:
        w.matrix(f"{BODY}.project_in", width, narrow)
        w.matrix(f"{BODY}.project_out", narrow, width)
    for i in range(c["num_hidden_layers"]):
        layer = f"{BODY}.layers.{i}"
        for name in ["q_proj", "k_proj", "v_proj", "out_proj"]:
            w.matrix(f"{layer}.self_attn.{name}", width, width, bias=True)
        w.norm(f"{layer}.self_attn_layer_norm", width, bias=True)
        w.matrix(f"{layer}.fc1", c["ffn_dim"], width, bias=True)
        w.matrix(f"{layer}.fc2", width, c["ffn_dim"], bias=True)
        w.norm(f"{layer}.final_layer_norm", width, bias=True)
    if c["do_layer_norm_before"]:
        w.norm(f"{BODY}.final_layer_norm", width, bias=True)
    return w


def logits_of(c, w):
    before, count = c["do_layer_norm_before"], c["num_attention_heads"]

    def norm(name, x):
        return layer_norm(w, name, x, EPS)

    def attention(layer, x):
        q, k, v = (heads(linear(w, f"{layer}.{n}_proj", x), count) for n in "qkv")
        return linear(w, f"{layer}.out_proj", attend(q, k, v, 1 / math.sqrt(q.shape[-1])))

    def logits(ids):
        x = w.at(f"{BODY}.embed_tokens.weight")[ids]
        if f"{BODY}.project_in.weight" in w:
            x = linear(w, f"{BODY}.project_in", x)
        x = x + w.at(f"{BODY}.embed_positions.weight")[2 : 2 + len(ids)]
        for i in range(c["num_hidden_layers"]):
            layer = f"{BODY}.layers.{i}"
            y = norm(f"{layer}.self_attn_layer_norm", x) if before else x
            x = x + attention(f"{layer}.self_attn", y)
            if not before:
                x = norm(f"{layer}.self_attn_layer_norm", x)
            y = norm(f"{layer}.final_layer_norm", x) if before else x
            x = x + linear(w, f"{layer}.fc2", linear(w, f"{layer}.fc1", y).relu())
            if not before:
                x = norm(f"{layer}.final_layer_norm", x)
        if before:
            x = norm(f"{BODY}.final_layer_norm", x)
        if f"{BODY}.project_out.weight" in w:
            x = linear(w, f"{BODY}.project_out", x)
        return x @ w.at(f"{BODY}.embed_tokens.weight").T

    return logits


config = {
    "architectures": ["OPTForCausalLM"],
    "model_type": "opt",
    "vocab_size": 41,
    "hidden_size": 16,
    "ffn_dim": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 48,
    "do_layer_norm_before": True,
    "word_embed_proj_dim": 16,
    "activation_function": "relu",
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 2,
}

for name, change in [
    ("opt", {}),
    # As the 350M model: norms after the branches, narrow embeddings.
    ("opt-post-norm", {"do_layer_norm_before": False, "word_embed_proj_dim": 12}),
]:
    c = {**config, **change}
    write_decoder(name, c, partial(weights_of, c), partial(logits_of, c))
