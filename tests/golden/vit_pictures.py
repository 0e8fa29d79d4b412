"""Resized pictures by Pillow: what the published image models were trained on."""

import numpy
import torch
from PIL import Image

from golden import FIXTURES, write_safetensors

FILTERS = {0: Image.NEAREST, 1: Image.LANCZOS, 2: Image.BILINEAR, 3: Image.BICUBIC}
random = numpy.random.RandomState(5)
tensors = {}
for n, (rows, columns) in enumerate([(13, 17), (5, 6), (8, 31)]):
    pixels = random.randint(0, 256, (rows, columns, 3)).astype(numpy.uint8)
    tensors[f"golden.{n}.input.picture"] = torch.tensor(pixels.astype(numpy.int64))
    for number, name in FILTERS.items():
        for height, width in [(8, 8), (11, 7)]:
            small = Image.fromarray(pixels).resize((width, height), name)
            value = torch.tensor(numpy.asarray(small).astype(numpy.int64))
            tensors[f"golden.{n}.output.{number}.{height}.{width}"] = value
write_safetensors(FIXTURES / "vit-pictures.safetensors", tensors)
(FIXTURES / "vit-pictures.json").write_text("{}\n")
