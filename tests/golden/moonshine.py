"""Moonshine (Jeffries et al. 2024) without a cache or padding: every sound and every text is computed
alone. See golden.py for the fixtures.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE /usr/bin/python3 tests/golden/moonshine.py
"""

import json

import torch
from golden import FIXTURES, GREEDY, Weights, heads, linear, write_safetensors

CONFIG = {
    "architectures": ["MoonshineForConditionalGeneration"],
    "model_type": "moonshine",
    "vocab_size": 39,
    "hidden_size": 24,
    "intermediate_size": 28,
    "encoder_num_hidden_layers": 2,
    "decoder_num_hidden_layers": 2,
    "encoder_num_attention_heads": 2,
    "decoder_num_attention_heads": 2,
    "encoder_num_key_value_heads": 2,
    "decoder_num_key_value_heads": 2,
    "encoder_hidden_act": "gelu",
    "decoder_hidden_act": "silu",
    "max_position_embeddings": 64,
    "rope_theta": 10000.0,
    "partial_rotary_factor": 0.9,
    "attention_bias": False,
    "is_encoder_decoder": True,
    "decoder_start_token_id": 1,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
# Samples and tokens: 14 places of the memory and a rest, a few, exactly one.
LENGTHS = [(5700, 11), (2048, 6), (895, 3)]


def weights_of(c, seed):
    w = Weights(seed)
    width, inner = c["hidden_size"], c["intermediate_size"]

    def attention(name):
        for part in "qkvo":
            w.matrix(f"{name}.{part}_proj", width, width)

    s = "model.encoder"
    w.draw(f"{s}.conv1.weight", (width, 1, 127), 0.5)
    w.norm(f"{s}.groupnorm", width, bias=True)
    w.draw(f"{s}.conv2.weight", (2 * width, width, 7), 1.5 / (7 * width) ** 0.5)
    w.draw(f"{s}.conv2.bias", (2 * width,), 0.2)
    w.draw(f"{s}.conv3.weight", (width, 2 * width, 3), 1.5 / (6 * width) ** 0.5)
    w.draw(f"{s}.conv3.bias", (width,), 0.2)
    for i in range(c["encoder_num_hidden_layers"]):
        at = f"{s}.layers.{i}"
        attention(f"{at}.self_attn")
        w.matrix(f"{at}.mlp.fc1", inner, width, bias=True)
        w.matrix(f"{at}.mlp.fc2", width, inner, bias=True)
        w.norm(f"{at}.input_layernorm", width)
        w.norm(f"{at}.post_attention_layernorm", width)
    w.norm(f"{s}.layer_norm", width)
    s = "model.decoder"
    w.table(f"{s}.embed_tokens", c["vocab_size"], width, 1.0)
    for i in range(c["decoder_num_hidden_layers"]):
        at = f"{s}.layers.{i}"
        attention(f"{at}.self_attn")
        attention(f"{at}.encoder_attn")
        w.matrix(f"{at}.mlp.fc1", 2 * inner, width, bias=True)
        w.matrix(f"{at}.mlp.fc2", width, inner, bias=True)
        for part in ["input_layernorm", "post_attention_layernorm", "final_layernorm"]:
            w.norm(f"{at}.{part}", width)
    w.norm(f"{s}.norm", width)
    return w


def norm(w, name, x):
    mean = x.mean(-1, keepdim=True)
    spread = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (spread + 1e-5).sqrt() * w.at(f"{name}.weight")


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / 2**0.5))


def convolve(w, name, x, stride):
    """x [channels, places]; written as products of windows, not by a library's convolution."""
    weight = w.at(f"{name}.weight")  # [out, channels, kernel]
    windows = x.unfold(1, weight.shape[2], stride)  # [channels, places', kernel]
    y = torch.einsum("cpk,ock->op", windows, weight)
    return y + w.at(f"{name}.bias")[:, None] if f"{name}.bias" in w else y


def stem(w, samples):
    s = "model.encoder"
    x = torch.tanh(convolve(w, f"{s}.conv1", samples.double()[None], 64))
    x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
    gain, bias = w.at(f"{s}.groupnorm.weight"), w.at(f"{s}.groupnorm.bias")
    x = gelu(convolve(w, f"{s}.conv2", x * gain[:, None] + bias[:, None], 3))
    return gelu(convolve(w, f"{s}.conv3", x, 2)).T  # [places, width]


def rotate(c, x):
    """Turns neighbours 2i and 2i + 1 of the first features of x [heads, tokens, width of a head]."""
    turning = int(x.shape[2] * c["partial_rotary_factor"])
    y = x.clone()
    for i in range(0, turning, 2):
        angle = torch.arange(x.shape[1]).double() * c["rope_theta"] ** (-i / turning)
        cos, sin = angle.cos(), angle.sin()
        y[:, :, i] = x[:, :, i] * cos - x[:, :, i + 1] * sin
        y[:, :, i + 1] = x[:, :, i + 1] * cos + x[:, :, i] * sin
    return y


def attend(w, c, name, x, source, turns, causal):
    count = c["decoder_num_attention_heads"]
    q, k, v = (
        heads(linear(w, f"{name}.{part}_proj", of), count)
        for part, of in [("q", x), ("k", source), ("v", source)]
    )
    if turns:
        q, k = rotate(c, q), rotate(c, k)
    scores = q @ k.transpose(1, 2) / q.shape[2] ** 0.5
    if causal:
        scores = scores.masked_fill(torch.ones(scores.shape[1:]).triu(1).bool(), -torch.inf)
    mixed = scores.softmax(-1) @ v
    return linear(w, f"{name}.o_proj", mixed.transpose(0, 1).reshape(x.shape[0], -1))


def memory_of(w, c, samples):
    s = "model.encoder"
    x = stem(w, samples)
    for i in range(c["encoder_num_hidden_layers"]):
        at = f"{s}.layers.{i}"
        y = norm(w, f"{at}.input_layernorm", x)
        x = x + attend(w, c, f"{at}.self_attn", y, y, True, False)
        y = norm(w, f"{at}.post_attention_layernorm", x)
        x = x + linear(w, f"{at}.mlp.fc2", gelu(linear(w, f"{at}.mlp.fc1", y)))
    return norm(w, f"{s}.layer_norm", x)


def logits_of(w, c, memory, target):
    s = "model.decoder"
    x = w.at(f"{s}.embed_tokens.weight")[target]
    for i in range(c["decoder_num_hidden_layers"]):
        at = f"{s}.layers.{i}"
        y = norm(w, f"{at}.input_layernorm", x)
        x = x + attend(w, c, f"{at}.self_attn", y, y, True, True)
        y = norm(w, f"{at}.post_attention_layernorm", x)
        x = x + attend(w, c, f"{at}.encoder_attn", y, memory, False, False)
        y = norm(w, f"{at}.final_layernorm", x)
        up, gate = linear(w, f"{at}.mlp.fc1", y).chunk(2, -1)
        x = x + linear(w, f"{at}.mlp.fc2", gate * torch.sigmoid(gate) * up)
    return norm(w, f"{s}.norm", x) @ w.at(f"{s}.embed_tokens.weight").T


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
    """None where a text goes on with little but one token."""
    generator = torch.Generator().manual_seed(1)
    tensors = {}
    for n, (length, written) in enumerate(LENGTHS):
        samples = torch.randn(length, generator=generator) * 0.3
        target = torch.randint(3, c["vocab_size"], (written,), generator=generator)
        target[0] = c["decoder_start_token_id"]
        memory = memory_of(w, c, samples)
        found = greedy(w, c, memory)
        if found is None or len(set(found)) < 3:
            return None
        tensors[f"golden.{n}.input.input_values"] = samples[None]
        tensors[f"golden.{n}.input.sample_counts"] = torch.tensor([length])
        tensors[f"golden.{n}.input.decoder_input_ids"] = target[None]
        tensors[f"golden.{n}.output.logits"] = logits_of(w, c, memory, target).float()[None]
        tensors[f"golden.{n}.greedy"] = torch.tensor(found)
    return tensors


if __name__ == "__main__":
    for seed in range(1000):
        w = weights_of(CONFIG, seed)
        found = goldens(w, CONFIG)
        if found:
            break
    else:
        raise SystemExit("no seed whose texts tell")
    (FIXTURES / "moonshine.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    write_safetensors(FIXTURES / "moonshine.safetensors", {**w, **found})
    print(f"moonshine seed {seed},", sum(t.numel() for t in w.values()), "parameters")
