"""Opens a data folder with DuckDB, pyarrow and pandas as a user would, and prints what each sees, as JSON."""

import json
import sys

import duckdb
import pandas
import pyarrow.dataset

root = sys.argv[1]
files = f"{root}/samples/**/*.parquet"


def by_duckdb():
    figures = duckdb.sql(
        f"""select count(*), sum(latency_ms), sum(prompt_tokens), sum(length(response_text)),
                   count(*) filter (variant = 'candidate'), count(*) filter (status is null),
                   epoch_us(min(ts)), epoch_us(max(ts)), count(distinct hour), min(experiment),
                   count(*) filter (tags['team'] = 'a'), count(*) filter (complete)
            from read_parquet('{files}', hive_partitioning = true)"""
    ).fetchall()[0]
    compression = duckdb.sql(f"select distinct compression from parquet_metadata('{files}')").fetchall()
    assert compression == [("ZSTD",)], compression
    return list(figures)


def figures_of(frame, tags):
    return [
        len(frame),
        float(frame["latency_ms"].sum()),
        int(frame["prompt_tokens"].sum()),
        int(frame["response_text"].str.len().sum()),
        int((frame["variant"] == "candidate").sum()),
        int(frame["status"].isna().sum()),
        int(frame["ts"].min().value // 1000),
        int(frame["ts"].max().value // 1000),
        int(frame["hour"].nunique()),
        min(map(str, frame["experiment"].unique())),
        sum(("team", "a") in (one or []) for one in tags),
        int((frame["complete"] == True).sum()),  # noqa: E712: unknown is not true
    ]


def by_pyarrow():
    table = pyarrow.dataset.dataset(f"{root}/samples", partitioning="hive").to_table()
    assert str(table.schema.field("ts").type) == "timestamp[us, tz=UTC]", table.schema
    return figures_of(table.drop_columns(["tags"]).to_pandas(), table["tags"].to_pylist())


def by_pandas():
    frame = pandas.read_parquet(f"{root}/samples", engine="pyarrow")
    return figures_of(frame, frame["tags"])


print(json.dumps({"duckdb": by_duckdb(), "pyarrow": by_pyarrow(), "pandas": by_pandas()}))
