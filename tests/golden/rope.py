"""Rotary positions (Su et al. 2021) with the rules for texts longer than those of the training."""

import math

import torch


def frequencies(base, width, scaling, length):
    """Radians a place of each pair of features, and the factor of cosines and sines."""
    f = 1 / base ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind in ("default", "dynamic"):  # dynamic: no longer than max_position_embeddings
        return f, 1.0
    factor = scaling["factor"]
    if kind == "linear":
        return f / factor, 1.0
    original = scaling.get("original_max_position_embeddings", length)
    if kind == "llama3":
        # Llama 3.1: by wave length, against two bounds.
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        out = []
        for one in f.tolist():
            wave = 2 * math.pi / one
            if wave < original / high:
                out.append(one)
            elif wave > original / low:
                out.append(one / factor)
            else:
                smooth = (original / wave - low) / (high - low)
                out.append((1 - smooth) * one / factor + smooth * one)
        return torch.tensor(out, dtype=torch.float64), 1.0
    if kind == "yarn":
        # Peng et al. 2023, section 3.2 with the rounding of its published code.
        def feature(turns):
            return width * math.log(original / (turns * 2 * math.pi)) / (2 * math.log(base))

        low = max(math.floor(feature(scaling.get("beta_fast", 32))), 0)
        high = min(math.ceil(feature(scaling.get("beta_slow", 1))), width - 1)
        ramp = (torch.arange(width // 2, dtype=torch.float64) - low) / max(high - low, 0.001)
        keep = 1 - ramp.clamp(0, 1)
        size = scaling.get("attention_factor", 0.1 * math.log(factor) + 1)
        return f / factor * (1 - keep) + f * keep, size
    raise ValueError(kind)


def turn(x, base, width, scaling, length):
    """Turns the first `width` features of x[heads, tokens, width of a head], halves in pairs."""
    f, size = frequencies(base, width, scaling, length)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * f
    cos, sin = angles.cos() * size, angles.sin() * size
    a, b, rest = x[..., : width // 2], x[..., width // 2 : width], x[..., width:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)
