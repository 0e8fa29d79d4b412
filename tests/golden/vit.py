"""ViT (Dosovitskiy et al. 2021) and DeiT (Touvron et al. 2021), from their papers and the shapes of
their checkpoints."""

import torch

from golden import Weights
from torch_layers import affine, layer, norm, write

WIDTH, HEADS, INNER, LAYERS, EPS = 24, 3, 48, 2, 1e-12
NAMES = {
    **{p: f"attention.attention.{name}" for p, name in zip("qkv", ["query", "key", "value"])},
    "o": "attention.output.dense",
    "norm1": "layernorm_before",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "layernorm_after",
}


def make(prefix, seed, size, patch, channels, special, qkv_bias):
    w = Weights(seed)
    patches = (size[0] // patch) * (size[1] // patch)
    at = f"{prefix}.embeddings"
    for name in special:
        w.draw(f"{at}.{name}", (1, 1, WIDTH), 1.0)
    w.draw(f"{at}.position_embeddings", (1, patches + len(special), WIDTH), 0.5)
    spread = (channels * patch * patch) ** -0.5
    w.draw(f"{at}.patch_embeddings.projection.weight", (WIDTH, channels, patch, patch), spread)
    w.draw(f"{at}.patch_embeddings.projection.bias", (WIDTH,), 0.2)
    for i in range(LAYERS):
        for part, name in NAMES.items():
            full = f"{prefix}.encoder.layer.{i}.{name}"
            if part.startswith("norm"):
                w.norm(full, WIDTH, bias=True)
            else:
                shape = (INNER if part == "up" else WIDTH, INNER if part == "down" else WIDTH)
                w.matrix(full, *shape, bias=qkv_bias or part not in "qkv")
    w.norm(f"{prefix}.layernorm", WIDTH, bias=True)
    return w


def tokens(w, prefix, pixels, patch, special):
    at = f"{prefix}.embeddings"
    batch, channels = pixels.shape[:2]
    # Patches by cutting, not by a convolution: [batch, rows, columns, channels, patch, patch]
    cut = pixels.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 1, 4, 5)
    flat = cut.reshape(batch, -1, channels * patch * patch)
    kernel = w.at(f"{at}.patch_embeddings.projection.weight").reshape(WIDTH, -1)
    x = flat @ kernel.T + w.at(f"{at}.patch_embeddings.projection.bias")
    own = [w.at(f"{at}.{name}").expand(batch, 1, WIDTH) for name in special]
    x = torch.cat([*own, x], 1) + w.at(f"{at}.position_embeddings")
    for i in range(LAYERS):
        full = {part: f"{prefix}.encoder.layer.{i}.{name}" for part, name in NAMES.items()}
        x = layer(w, full, WIDTH, HEADS, INNER, EPS, True)(x)
    return norm(w, f"{prefix}.layernorm", x, EPS)


def config(kind, image_size, patch, channels, labels, **more):
    return {
        "model_type": kind,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "layer_norm_eps": EPS,
        "image_size": image_size,
        "patch_size": patch,
        "num_channels": channels,
        "id2label": {str(i): name for i, name in enumerate(labels)},
        **more,
    }


def picture(seed, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def vit():
    size, patch, channels, special = [12, 8], 4, 3, ["cls_token"]
    w = make("vit", 21, size, patch, channels, special, qkv_bias=False)
    w.matrix("classifier", 3, WIDTH, True)
    pixels = picture(1, (2, channels, *size))
    logits = affine(w, "classifier", tokens(w, "vit", pixels.double(), patch, special)[:, 0])
    more = {"architectures": ["ViTForImageClassification"], "qkv_bias": False}
    told = config("vit", size, patch, channels, ["cat", "dog", "owl"], **more)
    write("vit", told, w, {"pixels": pixels}, {"scores": logits})


def deit():
    size, patch, channels, special = [9, 9], 3, 1, ["cls_token", "distillation_token"]
    w = make("deit", 22, size, patch, channels, special, qkv_bias=True)
    w.matrix("cls_classifier", 4, WIDTH, True)
    w.matrix("distillation_classifier", 4, WIDTH, True)
    pixels = picture(2, (2, channels, *size))
    x = tokens(w, "deit", pixels.double(), patch, special)
    own = affine(w, "cls_classifier", x[:, 0])
    both = (own + affine(w, "distillation_classifier", x[:, 1])) / 2
    more = {"architectures": ["DeiTForImageClassificationWithTeacher"]}
    told = config("deit", 9, patch, channels, ["a", "b", "c", "d"], **more)
    write("vit-deit", told, w, {"pixels": pixels}, {"scores": both, "own_scores": own})


vit()
deit()
