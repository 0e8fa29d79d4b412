"""What the reference scripts share: weights from a seed, and fixtures written by hand.

A fixture is tests/fixtures/<name>.json (a config.json) and <name>.safetensors: the weights under
Hugging Face's names, and beside them, for each text n, golden.n.input.<feed>, golden.n.output.<name>
and golden.n.greedy, the tokens that the best score gives one after another. The arithmetic is in
float64 over weights rounded to float32; every text is a full pass of its own, with no cache.
"""

import json
import struct
from pathlib import Path

import torch

FIXTURES = Path(__file__).parent.parent / "fixtures"
DTYPES = {torch.float32: "F32", torch.int64: "I64"}
GREEDY = 14


class Weights(dict):
    """Named float32 tensors, drawn in the order in which they are asked for."""

    def __init__(self, seed):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def draw(self, name, shape, spread, middle=0.0):
        self[name] = torch.randn(shape, generator=self.generator) * spread + middle

    def matrix(self, name, rows, columns, bias=False, transposed=False):
        shape = (columns, rows) if transposed else (rows, columns)
        self.draw(f"{name}.weight", shape, 1.5 / columns**0.5)
        if bias:
            self.draw(f"{name}.bias", (rows,), 0.2)

    def table(self, name, rows, columns, spread=0.4):
        self.draw(f"{name}.weight", (rows, columns), spread)

    def norm(self, name, width, bias=False):
        self.draw(f"{name}.weight", (width,), 0.3, 1.0)
        if bias:
            self.draw(f"{name}.bias", (width,), 0.3)

    def at(self, name):
        return self[name].double()


def write_safetensors(path, tensors):
    header, at, parts = {}, 0, []
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().tobytes()
        span = [at, at + len(raw)]
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": span,
        }
        at += len(raw)
        parts.append(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))


def greedy(logits, ids):
    """Continues ids by the best score; None where rounding could reorder two scores."""
    tokens = list(ids)
    for _ in range(GREEDY):
        best = logits(tokens)[-1].topk(2)
        if best.values[0] - best.values[1] < 1e-3:
            return None
        tokens.append(int(best.indices[0]))
    return tokens[len(ids) :]


def goldens(logits, texts):
    """Tensors of the fixture; None where texts go on with little but one token (tied heads do)."""
    tensors = {}
    for n, ids in enumerate(texts):
        found = greedy(logits, ids)
        if found is None or len(set(found)) < 5:
            return None
        tensors[f"golden.{n}.input.input_ids"] = torch.tensor([ids])
        tensors[f"golden.{n}.input.attention_mask"] = torch.ones(1, len(ids), dtype=torch.int64)
        tensors[f"golden.{n}.output.logits"] = logits(ids).float()[None]
        tensors[f"golden.{n}.greedy"] = torch.tensor(found)
    return tensors


def write_decoder(name, config, weights_of, logits_of, lengths=(11, 5)):
    """weights_of: a seed -> weights; logits_of: weights -> a function of token ids that gives
    float64 [tokens, vocabulary]. Takes the first seed whose texts tell."""
    generator = torch.Generator().manual_seed(1)
    texts = [torch.randint(config["vocab_size"], (n,), generator=generator).tolist() for n in lengths]
    for seed in range(1000):
        weights = weights_of(seed)
        found = goldens(logits_of(weights), texts)
        if found:
            break
    else:
        raise SystemExit(f"{name}: no seed whose texts tell")
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / f"{name}.json").write_text(json.dumps(config, indent=2) + "\n")
    write_safetensors(FIXTURES / f"{name}.safetensors", {**weights, **found})
    print(name, f"seed {seed},", sum(t.numel() for t in weights.values()), "parameters")


def linear(w, name, x, transposed=False):
    matrix = w.at(f"{name}.weight")
    y = x @ (matrix if transposed else matrix.T)
    return y + w.at(f"{name}.bias") if f"{name}.bias" in w else y


def layer_norm(w, name, x, eps):
    mean = x.mean(-1, keepdim=True)
    spread = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (spread + eps).sqrt() * w.at(f"{name}.weight") + w.at(f"{name}.bias")


def attend(q, k, v, scale, window=None):
    """Causal softmax attention of one text: q, k and v are [heads, tokens, width of a head]."""
    tokens = q.shape[1]
    distance = torch.arange(tokens)[:, None] - torch.arange(tokens)[None, :]
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    scores = (q @ k.transpose(1, 2) * scale).masked_fill(~seen, -torch.inf)
    mixed = scores.softmax(-1) @ v
    return mixed.transpose(0, 1).reshape(tokens, -1)  # heads side by side


def heads(x, count):
    """[tokens, heads * width] -> [heads, tokens, width]"""
    return x.reshape(x.shape[0], count, -1).transpose(0, 1)
