"""Evidently over the samples of the benchmark: the columns of a look, and a drift test for each, candidate against control.

usage: with_evidently.py DATA_FOLDER [PHRASES]; prints one JSON line with the seconds of each step. Reading, the figures of the texts and
the tests are counted, the start of Python and its imports are not. PHRASES is a JSON file with the phrases of `refusal` and of `hedging`;
without it a few of them are looked for, which is another, cheaper column.
"""

import json
import pathlib
import re
import sys
import time

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.descriptors import Contains, IsValidJSON, TextLength, WordCount
from evidently.presets import DataDriftPreset

A_FEW = {
    "refusal": ["i can't help", "i cannot help", "i can't assist", "i cannot assist", "i'm unable to", "i am unable to"],
    "hedging": ["i'm not sure", "i am not sure", "i'm not entirely sure", "it is hard to say", "might", "perhaps"],
}
NUMBERS = ["status", "latency_ms", "ttft_ms", "prompt_tokens", "completion_tokens"]
LABELS = ["finish_reason", "response_format"]
COLUMNS = ["leg", "variant", *NUMBERS, *LABELS, "response_text"]


def main() -> None:
    phrases = json.loads(pathlib.Path(sys.argv[2]).read_text()) if len(sys.argv) > 2 else A_FEW
    # Evidently takes the items as one regular expression.
    items = {name: [re.escape(phrase) for phrase in of_name] for name, of_name in phrases.items()}
    begin = time.perf_counter()
    files = sorted(pathlib.Path(sys.argv[1]).glob("samples/**/part-*.parquet"))
    frame = pd.concat([pd.read_parquet(file, columns=COLUMNS) for file in files], ignore_index=True)
    read = time.perf_counter()
    sides = []
    for variant in ("control", "candidate"):
        side = frame[frame["variant"] == variant].drop(columns=["leg", "variant"]).reset_index(drop=True)
        sides.append(
            Dataset.from_pandas(
                side,
                data_definition=DataDefinition(
                    numerical_columns=NUMBERS, categorical_columns=LABELS, text_columns=["response_text"]
                ),
                descriptors=[
                    TextLength("response_text", alias="response_chars"),
                    WordCount("response_text", alias="response_words"),
                    IsValidJSON("response_text", alias="json_valid"),
                    Contains("response_text", items=items["refusal"], case_sensitive=False, alias="refusal"),
                    Contains("response_text", items=items["hedging"], case_sensitive=False, alias="hedging"),
                ],
            )
        )
    described = time.perf_counter()
    columns = [*NUMBERS, *LABELS, "response_chars", "response_words", "json_valid", "refusal", "hedging"]
    report = Report([DataDriftPreset(columns=columns, num_method="ks", cat_method="chisquare")])
    result = report.run(current_data=sides[1], reference_data=sides[0])
    result.dict()
    tested = time.perf_counter()
    print(
        json.dumps(
            {
                "rows": len(frame),
                "read_s": read - begin,
                "described_s": described - read,
                "tested_s": tested - described,
                "all_s": tested - begin,
            }
        )
    )


main()
