"""T5 (Raffel et al. 2020) and what followed with gated perceptrons (Flan-T5), without a cache or
padding: every source and every target is computed alone. See golden.py for the fixtures.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE /usr/bin/python3 tests/golden/t5.py
"""

import json
import math

import torch
from golden import FIXTURES, GREEDY, Weights, heads, linear, write_safetensors

RELU_TIED = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 43,
    "d_model": 16,
    "d_kv": 6,
    "d_ff": 24,
    "num_heads": 3,
    "num_layers": 2,
    "num_decoder_layers": 3,
    "relative_attention_num_buckets": 32,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "relu",
    "dropout_rate": 0.1,
    "is_encoder_decoder": True,
    "n_positions": 160,
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
GATED_UNTIED = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 37,
    "d_model": 20,
    "d_kv": 4,
    "d_ff": 28,
    "num_heads": 2,
    "num_layers": 3,
    "relative_attention_num_buckets": 12,
    "relative_attention_max_distance": 20,
    "layer_norm_epsilon": 1e-5,
    "feed_forward_proj": "gated-gelu",
    "tie_word_embeddings": False,
    "decoder_start_token_id": 2,
    "eos_token_id": 1,
}
# Tokens of source and target: beyond the distance at which buckets end, short, a single one.
LENGTHS = [(150, 24), (7, 12), (1, 5)]


def depth(c, side):
    return c.get("num_decoder_layers", c["num_layers"]) if side == "decoder" else c["num_layers"]


def weights_of(c, seed):
    w = Weights(seed)
    inner, width = c["num_heads"] * c["d_kv"], c["d_model"]

    def attention(name):
        for part in "qkv":
            # Scores have no scale: smaller than elsewhere.
            w.draw(f"{name}.{part}.weight", (inner, width), 0.8 / width**0.5)
        w.matrix(f"{name}.o", width, inner)

    w.table("shared", c["vocab_size"], width, 1.0)
    for side in ["encoder", "decoder"]:
        for i in range(depth(c, side)):
            at = f"{side}.block.{i}.layer"
            mixers = ["SelfAttention", "EncDecAttention"][: 2 if side == "decoder" else 1]
            for k, name in enumerate(mixers):
                attention(f"{at}.{k}.{name}")
                w.norm(f"{at}.{k}.layer_norm", width)
            last = f"{at}.{len(mixers)}"
            gated = c["feed_forward_proj"].startswith("gated-")
            for part in ["wi_0", "wi_1"] if gated else ["wi"]:
                w.matrix(f"{last}.DenseReluDense.{part}", c["d_ff"], width)
            w.matrix(f"{last}.DenseReluDense.wo", width, c["d_ff"])
            w.norm(f"{last}.layer_norm", width)
        table = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias"
        w.table(table, c["relative_attention_num_buckets"], c["num_heads"], 1.0)
        w.norm(f"{side}.final_layer_norm", width)
    if not c.get("tie_word_embeddings", True):
        w.matrix("lm_head", c["vocab_size"], width)
    return w


def norm(w, c, name, x):
    mean_square = (x * x).mean(-1, keepdim=True)
    return x / (mean_square + c["layer_norm_epsilon"]).sqrt() * w.at(f"{name}.weight")


def bucket(distance, bidirectional, buckets, furthest):
    """distance: place of the key less that of the query."""
    start = 0
    if bidirectional:
        buckets //= 2
        if distance > 0:
            start = buckets
        distance = abs(distance)
    else:
        distance = max(-distance, 0)
    exact = buckets // 2
    if distance < exact:
        return start + distance
    # The logarithm in float32, as the published models were trained.
    share = torch.log(torch.tensor(distance / exact)) / math.log(furthest / exact)
    return start + min(exact + int((share * (buckets - exact)).long()), buckets - 1)


def distance_bias(w, c, side, tokens):
    """[heads, queries, keys]"""
    table = w.at(f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight")
    count = c["relative_attention_num_buckets"]
    furthest = c.get("relative_attention_max_distance", 128)
    row_of = {
        d: bucket(d, side == "encoder", count, furthest) for d in range(-tokens + 1, tokens)
    }
    rows = [[row_of[j - i] for j in range(tokens)] for i in range(tokens)]
    return table[torch.tensor(rows)].permute(2, 0, 1)


def attend(w, c, name, x, source, bias, causal):
    q = heads(linear(w, f"{name}.q", x), c["num_heads"])
    k = heads(linear(w, f"{name}.k", source), c["num_heads"])
    v = heads(linear(w, f"{name}.v", source), c["num_heads"])
    scores = q @ k.transpose(1, 2)  # no division by the root of the width
    if bias is not None:
        scores = scores + bias
    if causal:
        later = torch.ones(scores.shape[1:]).triu(1).bool()
        scores = scores.masked_fill(later, -torch.inf)
    mixed = scores.softmax(-1) @ v
    return linear(w, f"{name}.o", mixed.transpose(0, 1).reshape(x.shape[0], -1))


def feed_forward(w, c, name, x):
    if c["feed_forward_proj"] == "relu":
        return linear(w, f"{name}.wo", torch.relu(linear(w, f"{name}.wi", x)))
    gate = linear(w, f"{name}.wi_0", x)
    gate = 0.5 * gate * (1 + torch.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
    return linear(w, f"{name}.wo", gate * linear(w, f"{name}.wi_1", x))


def stack(w, c, side, ids, memory=None):
    x = w.at("shared.weight")[ids]
    bias = distance_bias(w, c, side, len(ids))
    for i in range(depth(c, side)):
        at = f"{side}.block.{i}.layer"
        y = norm(w, c, f"{at}.0.layer_norm", x)
        x = x + attend(w, c, f"{at}.0.SelfAttention", y, y, bias, side == "decoder")
        last = 1
        if memory is not None:
            y = norm(w, c, f"{at}.1.layer_norm", x)
            x = x + attend(w, c, f"{at}.1.EncDecAttention", y, memory, None, False)
            last = 2
        y = norm(w, c, f"{at}.{last}.layer_norm", x)
        x = x + feed_forward(w, c, f"{at}.{last}.DenseReluDense", y)
    return norm(w, c, f"{side}.final_layer_norm", x)


def logits_of(w, c, memory, target):
    hidden = stack(w, c, "decoder", target, memory)
    if c.get("tie_word_embeddings", True):
        return (hidden * c["d_model"] ** -0.5) @ w.at("shared.weight").T
    return linear(w, "lm_head", hidden)


def greedy(w, c, memory):
    """None where rounding could reorder two scores."""
    target = [c["decoder_start_token_id"]]
    for _ in range(GREEDY):
        best = logits_of(w, c, memory, target)[-1].topk(2)
        if best.values[0] - best.values[1] < 1e-3:
            return None
        target.append(int(best.indices[0]))
    return target[1:]


def goldens(w, c):
    """None where a target goes on with little but one token."""
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for n, (length, written) in enumerate(LENGTHS):
        source = torch.randint(3, c["vocab_size"], (length,), generator=generator)
        target = torch.randint(3, c["vocab_size"], (written,), generator=generator)
        target[0] = c["decoder_start_token_id"]
        memory = stack(w, c, "encoder", source)
        found = greedy(w, c, memory)
        if found is None or len(set(found)) < 4:
            return None
        tensors[f"golden.{n}.input.input_ids"] = source[None]
        tensors[f"golden.{n}.input.attention_mask"] = torch.ones_like(source)[None]
        tensors[f"golden.{n}.input.decoder_input_ids"] = target[None]
        tensors[f"golden.{n}.output.logits"] = logits_of(w, c, memory, target).float()[None]
        tensors[f"golden.{n}.greedy"] = torch.tensor(found)
    return tensors


def write(name, c):
    for seed in range(1000):
        w = weights_of(c, seed)
        found = goldens(w, c)
        if found:
            break
    else:
        raise SystemExit(f"{name}: no seed whose texts tell")
    (FIXTURES / f"{name}.json").write_text(json.dumps(c, indent=2) + "\n")
    write_safetensors(FIXTURES / f"{name}.safetensors", {**w, **found})
    print(name, f"seed {seed},", sum(t.numel() for t in w.values()), "parameters")


if __name__ == "__main__":
    write("t5", RELU_TIED)
    write("t5-gated", GATED_UNTIED)
