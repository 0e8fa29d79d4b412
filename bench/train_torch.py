# The peer of train.mjs: the same Llama-style model, weights and batches, trained by PyTorch on the
# CPU. Reads a folder that train.mjs wrote; prints one JSON line with losses and seconds a step.
import json
import math
import os
import resource
import struct
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

folder = sys.argv[1]
threads = int(sys.argv[2])
torch.set_num_threads(threads)
setting = json.load(open(os.path.join(folder, "setting.json")))
c = setting["config"]


def safetensors(path):
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    kinds = {"F32": np.float32, "I64": np.int64}
    return {
        name: np.frombuffer(
            data[8 + length + e["data_offsets"][0] : 8 + length + e["data_offsets"][1]],
            kinds[e["dtype"]],
        ).reshape(e["shape"])
        for name, e in header.items()
    }


weights = {
    name: torch.nn.Parameter(torch.tensor(value))
    for name, value in safetensors(os.path.join(folder, "weights.safetensors")).items()
}
tokens = torch.tensor(safetensors(os.path.join(folder, "tokens.safetensors"))["tokens"])

heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
width = c["hidden_size"]
head = width // heads
seq = tokens.shape[-1]
frequency = c["rope_theta"] ** (-torch.arange(0, head, 2).float() / head)
angle = torch.arange(seq).float()[:, None] * frequency
cos, sin = angle.cos(), angle.sin()
mask = torch.full((seq, seq), float("-inf")).triu(1)


def norm(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + c["rms_norm_eps"]) * gain


def rotate(x):
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def forward(ids):
    batch = ids.shape[0]
    x = F.embedding(ids, weights["model.embed_tokens.weight"])
    for i in range(c["num_hidden_layers"]):
        at = f"model.layers.{i}."
        w = lambda name: weights[at + name + ".weight"]
        h = norm(x, w("input_layernorm"))
        q = F.linear(h, w("self_attn.q_proj")).view(batch, seq, heads, head).transpose(1, 2)
        k = F.linear(h, w("self_attn.k_proj")).view(batch, seq, kv, head).transpose(1, 2)
        v = F.linear(h, w("self_attn.v_proj")).view(batch, seq, kv, head).transpose(1, 2)
        p = (rotate(q) @ rotate(k).transpose(-1, -2) / math.sqrt(head) + mask).softmax(-1)
        y = (p @ v).transpose(1, 2).reshape(batch, seq, width)
        x = x + F.linear(y, w("self_attn.o_proj"))
        h = norm(x, w("post_attention_layernorm"))
        inner = F.silu(F.linear(h, w("mlp.gate_proj"))) * F.linear(h, w("mlp.up_proj"))
        x = x + F.linear(inner, w("mlp.down_proj"))
    return F.linear(norm(x, weights["model.norm.weight"]), weights["model.embed_tokens.weight"])


matrices = [p for p in weights.values() if p.dim() > 1]
vectors = [p for p in weights.values() if p.dim() == 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": setting["decay"]}, {"params": vectors, "weight_decay": 0}],
    lr=setting["rate"],
    betas=(0.9, 0.999),
    eps=1e-8,
    foreach=setting.get("foreach", True),
)
losses, seconds = [], []
for step in range(tokens.shape[0]):
    begin = time.perf_counter()
    ids = tokens[step]
    logits = forward(ids)
    loss = F.cross_entropy(logits[:, :-1].reshape(-1, c["vocab_size"]), ids[:, 1:].reshape(-1))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(weights.values()), setting["clip"])
    optimizer.step()
    losses.append(loss.item())
    seconds.append(time.perf_counter() - begin)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"losses": losses, "seconds": seconds, "peak": peak}))
