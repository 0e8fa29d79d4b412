"""BERT (Devlin et al. 2019), RoBERTa (Liu et al. 2019) and DistilBERT (Sanh et al. 2019), from their
papers and the shapes of their checkpoints; pooling as in Sentence-BERT (Reimers and Gurevych 2019)."""

import torch

from golden import Weights
from torch_layers import affine, layer, norm, write

WIDTH, HEADS, INNER, LAYERS, WORDS, PLACES = 24, 3, 40, 2, 53, 16
LENGTHS = [9, 4, 6]
BERT = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "o": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm2": "output.LayerNorm",
}
DISTIL = {
    **{p: f"attention.{p}_lin" for p in "qkv"},
    "o": "attention.out_lin",
    "norm1": "sa_layer_norm",
    "up": "ffn.lin1",
    "down": "ffn.lin2",
    "norm2": "output_layer_norm",
}


def draw_layers(w, stem, names):
    for i in range(LAYERS):
        for part, name in names.items():
            at = f"{stem}.{i}.{name}"
            if part.startswith("norm"):
                w.norm(at, WIDTH, bias=True)
            else:
                w.matrix(at, INNER if part == "up" else WIDTH, INNER if part == "down" else WIDTH, True)


def draw_embeddings(w, body, types, places=PLACES):
    w.table(f"{body}embeddings.word_embeddings", WORDS, WIDTH)
    w.table(f"{body}embeddings.position_embeddings", places, WIDTH, 0.5)
    if types:
        w.table(f"{body}embeddings.token_type_embeddings", types, WIDTH, 0.5)
    w.norm(f"{body}embeddings.LayerNorm", WIDTH, bias=True)


def texts(pad, seed, first=5):
    """Texts of several lengths, padded behind."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((len(LENGTHS), max(LENGTHS)), pad)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = torch.randint(first, WORDS, (length,), generator=generator)
        mask[row, :length] = 1
    return ids, mask


def encode(w, body, stem, names, ids, mask, places, types=None, eps=1e-12):
    at = f"{body}embeddings."
    x = w.at(f"{at}word_embeddings.weight")[ids] + w.at(f"{at}position_embeddings.weight")[places]
    if types is not None:
        x = x + w.at(f"{at}token_type_embeddings.weight")[types]
    x = norm(w, f"{at}LayerNorm", x, eps)
    for i in range(LAYERS):
        full = {part: f"{stem}.{i}.{name}" for part, name in names.items()}
        x = layer(w, full, WIDTH, HEADS, INNER, eps, False)(x, src_key_padding_mask=mask == 0)
    return x


def pooled(x, mask):
    """Text by text, over its own tokens."""
    ways = {
        "cls": lambda t: t[0],
        "max": lambda t: t.max(0).values,
        "mean": lambda t: t.mean(0),
        "mean_sqrt_len": lambda t: t.sum(0) / len(t) ** 0.5,
    }
    own = [row[: int(length)] for row, length in zip(x, mask.sum(1))]
    found = {name: torch.stack([way(text) for text in own]) for name, way in ways.items()}
    found["mean_normalized"] = torch.nn.functional.normalize(found["mean"], dim=-1)
    return found


def standing(x, mask):
    """Numbers at padded places are nobody's."""
    return x * mask[..., None]


def places_of(ids):
    return torch.arange(ids.shape[1]).expand_as(ids)


def bert_config(**more):
    return {
        "model_type": "bert",
        "vocab_size": WORDS,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": INNER,
        "hidden_act": "gelu",
        "max_position_embeddings": PLACES,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        **more,
    }


def sentence():
    w = Weights(11)
    draw_embeddings(w, "", 2)
    draw_layers(w, "encoder.layer", BERT)
    w.matrix("pooler.dense", WIDTH, WIDTH, True)
    ids, mask = texts(0, 1)
    x = encode(w, "", "encoder.layer", BERT, ids, mask, places_of(ids), torch.zeros_like(ids))
    inputs = {"input_ids": ids, "attention_mask": mask}
    outputs = {"last_hidden_state": standing(x, mask), **pooled(x, mask)}
    write("bert-sentence", bert_config(architectures=["BertModel"]), w, inputs, outputs)


def pairs():
    w = Weights(12)
    draw_embeddings(w, "bert.", 2)
    draw_layers(w, "bert.encoder.layer", BERT)
    w.matrix("bert.pooler.dense", WIDTH, WIDTH, True)
    w.matrix("classifier", 3, WIDTH, True)
    ids, mask = texts(0, 2)
    types = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        types[row, length // 2 : length] = 1
    eps = 1e-5
    x = encode(w, "bert.", "bert.encoder.layer", BERT, ids, mask, places_of(ids), types, eps)
    logits = affine(w, "classifier", affine(w, "bert.pooler.dense", x[:, 0]).tanh())
    config = bert_config(
        architectures=["BertForSequenceClassification"],
        id2label={"0": "entailment", "1": "neutral", "2": "contradiction"},
        layer_norm_eps=eps,
    )
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    write("bert-pairs", config, w, inputs, {"last_hidden_state": standing(x, mask), "logits": logits})


def roberta():
    pad = 1
    w = Weights(13)
    draw_embeddings(w, "roberta.", 1, PLACES + pad + 1)
    draw_layers(w, "roberta.encoder.layer", BERT)
    w.matrix("classifier.dense", WIDTH, WIDTH, True)
    w.matrix("classifier.out_proj", 4, WIDTH, True)
    ids, mask = texts(pad, 3)
    # The first word's place is pad + 1; padding stands at pad.
    places = torch.where(mask == 1, torch.arange(ids.shape[1]) + pad + 1, torch.tensor(pad))
    x = encode(
        w, "roberta.", "roberta.encoder.layer", BERT, ids, mask, places, torch.zeros_like(ids), 1e-5
    )
    logits = affine(w, "classifier.out_proj", affine(w, "classifier.dense", x[:, 0]).tanh())
    config = bert_config(
        architectures=["RobertaForSequenceClassification"],
        model_type="roberta",
        type_vocab_size=1,
        layer_norm_eps=1e-5,
        pad_token_id=pad,
        max_position_embeddings=PLACES + pad + 1,
        id2label={str(i): name for i, name in enumerate(["joy", "anger", "fear", "none"])},
    )
    inputs = {"input_ids": ids, "attention_mask": mask}
    outputs = {"last_hidden_state": standing(x, mask), "logits": logits, **pooled(x, mask)}
    write("bert-roberta", config, w, inputs, outputs)


def distilbert():
    w = Weights(14)
    draw_embeddings(w, "distilbert.", 0)
    draw_layers(w, "distilbert.transformer.layer", DISTIL)
    w.matrix("pre_classifier", WIDTH, WIDTH, True)
    w.matrix("classifier", 2, WIDTH, True)
    ids, mask = texts(0, 4)
    stem = "distilbert.transformer.layer"
    x = encode(w, "distilbert.", stem, DISTIL, ids, mask, places_of(ids))
    logits = affine(w, "classifier", affine(w, "pre_classifier", x[:, 0]).relu())
    config = {
        "architectures": ["DistilBertForSequenceClassification"],
        "model_type": "distilbert",
        "vocab_size": WORDS,
        "dim": WIDTH,
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": INNER,
        "activation": "gelu",
        "max_position_embeddings": PLACES,
        "sinusoidal_pos_embds": False,
        "id2label": {"0": "NEGATIVE", "1": "POSITIVE"},
        "pad_token_id": 0,
    }
    inputs = {"input_ids": ids, "attention_mask": mask}
    outputs = {"last_hidden_state": standing(x, mask), "logits": logits, **pooled(x, mask)}
    write("bert-distilbert", config, w, inputs, outputs)


sentence()
pairs()
roberta()
distilbert()
