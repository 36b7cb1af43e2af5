"""Texts per second of Python's onnxruntime: for `bench-meaning`. Reads a list of texts (JSON) from standard input.

Run: embed.py MODEL_FOLDER THREADS
Ways: `batches` is what most code does (32 texts in their order, padded to the longest of the batch), `sorted` the same by
length, `single` one text at a time, without padding. Mean pooling, vectors of length 1, at most 512 tokens. Each way runs
once on a few texts before its time is taken. Writes seconds by way as JSON.
"""
import json, sys, time
from pathlib import Path

import numpy, onnxruntime, tokenizers

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
texts = json.load(sys.stdin)
tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.enable_truncation(512)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
names = ["model.onnx", "model_quantized.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx"]
model = next(folder / name for name in names if (folder / name).is_file())
session = onnxruntime.InferenceSession(str(model), options)
inputs = {one.name for one in session.get_inputs()}


def embed(chosen):
    encoded = tokenizer.encode_batch(chosen)
    feeds = {
        "input_ids": [one.ids for one in encoded],
        "attention_mask": [one.attention_mask for one in encoded],
        "token_type_ids": [one.type_ids for one in encoded],
    }
    feeds = {name: numpy.array(rows, dtype=numpy.int64) for name, rows in feeds.items() if name in inputs}
    hidden = session.run(None, feeds)[0]
    mask = numpy.array([one.attention_mask for one in encoded])[:, :, None]
    mean = (hidden * mask).sum(axis=1) / mask.sum(axis=1)
    return mean / numpy.linalg.norm(mean, axis=1, keepdims=True)


def through(ordered, size):
    for start in range(0, len(ordered), size):
        embed(ordered[start : start + size])


found = {}
for way, ordered, size in [
    ("batches", texts, 32),
    ("sorted", sorted(texts, key=len, reverse=True), 32),
    ("single", texts, 1),
]:
    if size > 1:
        tokenizer.enable_padding()
    else:
        tokenizer.no_padding()
    through(ordered[:32], size)
    start = time.perf_counter()
    through(ordered, size)
    found[way] = time.perf_counter() - start
json.dump(found, sys.stdout)
