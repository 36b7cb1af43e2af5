"""Reference vectors of all-MiniLM-L6-v2 by Python's onnxruntime and tokenizers: one text at a time, mean pooling, length 1.

Run: python3 -m venv v && v/bin/pip install onnxruntime==1.31.1 tokenizers numpy
     v/bin/python vectors.py ../shared/models/all-MiniLM-L6-v2 > vectors.json
No randomness.
"""
import json, sys
import numpy as np, onnxruntime, tokenizers

TEXTS = [
    "Your parcel left our warehouse on Monday.",
    "Ünïcode, 漢字 and emoji 🙂 in one line",
    "x",
    "The quick brown fox jumps over the lazy dog. " * 200,
    "def f(x):\n    return x + 1\n",
]

folder = sys.argv[1]
tokenizer = tokenizers.Tokenizer.from_file(folder + "/tokenizer.json")
tokenizer.enable_truncation(512)
tokenizer.no_padding()
session = onnxruntime.InferenceSession(folder + "/model_quantized.onnx")
names = {i.name for i in session.get_inputs()}
rows = []
for text in TEXTS:
    e = tokenizer.encode(text)
    feeds = {"input_ids": np.array([e.ids]), "attention_mask": np.array([e.attention_mask]), "token_type_ids": np.array([e.type_ids])}
    hidden = session.run(None, {k: v.astype(np.int64) for k, v in feeds.items() if k in names})[0][0]
    mean = hidden.mean(axis=0)
    mean /= np.linalg.norm(mean)
    rows.append({"text": text, "vector": [round(float(v), 6) for v in mean]})
json.dump(rows, sys.stdout, ensure_ascii=False)
