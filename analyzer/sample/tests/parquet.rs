//! Parquet files: what goes in comes out, and foreign files are named.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;
use weir_sample::*;

const TS: i64 = 1_790_000_000_123_456;

fn sample(id: &str, ts_us: i64) -> Sample {
    Sample { experiment: "e-1".into(), sample_id: id.into(), ts_us, ..Sample::default() }
}

prop_compose! {
    fn any_sample()(
        id in "[a-z0-9]{1,20}", leg in 0..3usize, variant in any::<bool>(), ts_us in 0..253_402_300_799_999_999i64,
        text in proptest::option::of(any::<String>()), answer in proptest::option::of(any::<String>()),
        revision in proptest::option::of(0..i64::MAX), status in proptest::option::of(0..600i32),
        latency in proptest::option::of(0.0..1e9f64), probability in 1e-6..=1.0f64, complete in any::<Option<bool>>(),
        tags in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..4), format in 0..ResponseFormat::ALL.len() + 1,
    ) -> Sample {
        Sample {
            experiment: "e-1".into(), sample_id: id, leg: [Leg::Primary, Leg::Shadow, Leg::Noise][leg],
            variant: if variant { Variant::Control } else { Variant::Candidate }, ts_us, revision, status,
            latency_ms: latency, inclusion_probability: probability, complete, request_text: text, response_text: answer,
            response_format: ResponseFormat::ALL.get(format).and_then(|word| ResponseFormat::parse(word)), tags,
            ..Sample::default()
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_come_back_from_parquet_as_they_went_in(rows in proptest::collection::vec(any_sample(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.parquet");
        let written = write_file(&path, "e-1", rows.clone()).unwrap();
        let mut expected = rows;
        expected.sort_by_key(|row| row.ts_us);
        prop_assert_eq!(written.rows, expected.len() as u64);
        prop_assert_eq!(read_file::<Sample>(&path).unwrap(), expected);
    }
}

#[test]
fn rows_land_in_the_folder_of_their_experiment_date_and_hour() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![sample("b", TS + 3_600_000_000), sample("a", TS)];
    let written = write_samples(folder.path(), "part-1", rows).unwrap();
    let relative: Vec<_> =
        written.iter().map(|f| f.path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
    assert_eq!(
        relative,
        [
            "samples/experiment=e-1/date=2026-09-21/hour=14/part-1.parquet",
            "samples/experiment=e-1/date=2026-09-21/hour=15/part-1.parquet"
        ]
    );
    assert_eq!(list_files(folder.path(), Kind::Samples, Some("e-1")).unwrap().len(), 2);
    assert_eq!(list_files(folder.path(), Kind::Scores, None).unwrap().len(), 0);
}

#[test]
fn writing_the_same_rows_again_under_the_same_name_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rows = vec![sample("b", TS + 1), sample("a", TS)];
    let first = write_samples(folder.path(), "part-1", rows.clone()).unwrap();
    let bytes = std::fs::read(&first[0].path).unwrap();
    let second = write_samples(folder.path(), "part-1", rows).unwrap();
    assert_eq!(first, second);
    assert_eq!(bytes, std::fs::read(&second[0].path).unwrap());
}

#[test]
fn files_are_private_and_no_temporary_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let written = write_samples(&data, "part-1", vec![sample("a", TS)]).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&written[0].path), 0o600);
    let hour = written[0].path.parent().unwrap();
    for level in [hour, hour.parent().unwrap(), data.as_path()] {
        assert_eq!(mode(level), 0o700);
    }
    assert_eq!(std::fs::read_dir(hour).unwrap().count(), 1);
}

#[test]
fn a_file_of_another_table_or_of_no_table_is_named_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let score = Score {
        experiment: "e-1".into(),
        sample_id: "a".into(),
        ts_us: TS,
        criterion: "q".into(),
        ..Score::default()
    };
    let written = write_samples(folder.path(), "part-1", vec![score.clone()]).unwrap();
    assert_eq!(read_file::<Score>(&written[0].path).unwrap(), [score]);
    let message = check_file::<Sample>(&written[0].path).unwrap_err().to_string();
    assert!(message.contains("part-1.parquet: weir.kind is \"scores\"; expected \"samples\""), "{message}");

    let garbage = folder.path().join("garbage.parquet");
    std::fs::write(&garbage, b"PAR1 not really").unwrap();
    let message = check_file::<Sample>(&garbage).unwrap_err().to_string();
    assert!(message.contains("garbage.parquet: is not a readable Parquet file"), "{message}");
    let message = check_file::<Sample>(&folder.path().join("missing.parquet")).unwrap_err().to_string();
    assert!(message.contains("missing.parquet: cannot open") && message.contains("hint:"), "{message}");
}

#[test]
fn a_row_without_a_place_is_an_error_not_a_path() {
    let folder = tempfile::tempdir().unwrap();
    for row in [Sample { experiment: "../up".into(), ..sample("a", TS) }, sample("a", -1)] {
        assert!(matches!(write_samples(folder.path(), "p", vec![row]), Err(FileError::Unplaced { .. })));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_written_before_the_later_columns_still_reads() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/samples-45-columns.parquet");
    let rows = read_file::<Sample>(&path).unwrap();
    let expected = |id: &str, ts_us| Sample {
        experiment: "older".into(),
        leg: Leg::Shadow,
        variant: Variant::Candidate,
        revision: Some(3),
        latency_ms: Some(12.5),
        status: Some(200),
        response_text: Some("Grüße".into()),
        response_format: Some(ResponseFormat::OpenaiChatSse),
        prompt_tokens: Some(7),
        tags: [("team".to_owned(), "a".to_owned())].into(),
        ..sample(id, ts_us)
    };
    assert_eq!(rows, [expected("a", 1_790_000_000_000_000), expected("b", 1_790_000_000_000_001)]);
    assert!(Sample::COLUMNS.len() > 45, "the file is not older than the columns of today");
}

/// A file as another version would have written it: these columns only, and columns that nobody knows yet.
fn foreign_version(path: &std::path::Path, rows: &[Sample], keep: &[&str], future: bool) {
    use parquet::arrow::ArrowWriter;
    use parquet::file::metadata::KeyValue;
    use parquet::file::properties::WriterProperties;
    let batch = weir_sample::arrow::to_batch(rows).unwrap();
    let kept: Vec<usize> = keep.iter().map(|name| batch.schema().index_of(name).unwrap()).collect();
    let mut batch = batch.project(&kept).unwrap();
    if future {
        let column = arrow_array::StringArray::from(vec!["something"; rows.len()]);
        let mut fields = batch.schema().fields().to_vec();
        fields.push(std::sync::Arc::new(arrow_schema::Field::new(
            "from_the_future",
            arrow_schema::DataType::Utf8,
            true,
        )));
        let mut columns = batch.columns().to_vec();
        columns.push(std::sync::Arc::new(column));
        let schema = std::sync::Arc::new(arrow_schema::Schema::new(fields));
        batch = arrow_array::RecordBatch::try_new(schema, columns).unwrap();
    }
    let pair = |key: &str, value: &str| KeyValue::new(key.to_owned(), value.to_owned());
    let metadata =
        vec![pair("weir.schema_version", "1"), pair("weir.kind", "samples"), pair("weir.experiment", "e-1")];
    let properties = WriterProperties::builder().set_key_value_metadata(Some(metadata)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn files_of_older_and_newer_versions_are_read_what_they_lack_is_unknown_and_what_is_new_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-other.parquet");
    let row = Sample { status: Some(200), response_text: Some("yes".into()), ..sample("a", TS) };
    foreign_version(
        &path,
        std::slice::from_ref(&row),
        &["sample_id", "leg", "variant", "ts", "status"],
        true,
    );
    let older = Sample { response_text: None, ..row };
    assert_eq!(read_file::<Sample>(&path).unwrap(), [older]);

    foreign_version(&path, &[sample("a", TS)], &["sample_id", "variant", "ts"], false);
    let message = check_file::<Sample>(&path).unwrap_err().to_string();
    assert!(message.contains("column `leg` is missing; expected Utf8"), "{message}");
}

#[test]
fn files_are_zstd_with_dictionaries_statistics_and_page_index_and_say_that_they_are_sorted_by_time() {
    use parquet::basic::{Compression, Encoding};
    use parquet::file::metadata::ParquetMetaDataReader;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part-1.parquet");
    let rows = (0..5_000).map(|n| Sample { tier: Some("beta".into()), ..sample(&format!("s{n}"), TS - n) });
    write_file(&path, "e-1", rows.collect::<Vec<_>>()).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let group = metadata.row_group(0);
    assert_eq!(group.sorting_columns().unwrap()[0].column_idx, 3);
    assert_eq!(group.column(3).column_path().string(), "ts");
    for column in group.columns() {
        assert!(matches!(column.compression(), Compression::ZSTD(_)), "{}", column.column_path());
        assert!(column.statistics().is_some(), "{}", column.column_path());
    }
    let tier = group.columns().iter().find(|column| column.column_path().string() == "tier").unwrap();
    assert!(tier.encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY));
    let with_page_index = |column: &&parquet::file::metadata::ColumnChunkMetaData| {
        column.offset_index_length().is_some() && column.column_index_length().is_some()
    };
    assert_eq!(group.columns().iter().filter(with_page_index).count(), group.columns().len());
}
