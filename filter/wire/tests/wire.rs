//! What is written is read, and what strangers send is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use prost::Message;
use weir_wire::otlp::{AnyValue, KeyValue, LogRecord, any_value::Value};
use weir_wire::{
    DecodeLimits, Leg, LegKind, Resource, Scope, Score, Shared, Variant, WireError, batch_len,
    decode_request, encode_batch, encode_leg, encode_record, encode_response, encode_scope, encode_scopes,
    encode_score, names, otlp,
};

fn any_kind() -> impl Strategy<Value = LegKind> {
    prop_oneof![Just(LegKind::Primary), Just(LegKind::Shadow), Just(LegKind::Noise)]
}

fn any_variant() -> impl Strategy<Value = Variant> {
    prop_oneof![Just(Variant::Control), Just(Variant::Candidate)]
}

fn time() -> impl Strategy<Value = Option<f64>> {
    proptest::option::of(0.0..1e9f64)
}

prop_compose! {
    fn any_leg()(
        (sample_id, leg, variant, experiment) in ("[a-z0-9-]{1,30}", any_kind(), any_variant(), "[a-z-]{1,20}"),
        texts in proptest::collection::vec(".{0,30}", 14),
        numbers in proptest::collection::vec(0..=i64::MAX as u64, 5),
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 4),
        times in proptest::collection::vec(time(), 4),
        probability in 1e-6..=1.0f64,
        status in 0..1000u16,
        request_bytes in proptest::option::of(0..=i64::MAX as u64),
        complete in any::<bool>(),
        tags in proptest::collection::btree_map("[a-z.-]{1,20}", ".{0,30}", 0..5),
    ) -> Leg {
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap();
        let mut leg = Leg::new(sample_id, leg, variant, experiment);
        leg.policy_digest = text();
        leg.snapshot = text();
        leg.cohort = text();
        leg.tier = text();
        leg.autonomy = text();
        leg.identity_hash = text();
        leg.session_id = text();
        leg.method = text();
        leg.path = text();
        leg.request_id = text();
        leg.request_content_type = text();
        leg.response_content_type = text();
        leg.response_content_encoding = text();
        [leg.revision, leg.sequence, leg.start_unix_nano, leg.chunks, leg.response_body_bytes] = numbers.try_into().unwrap();
        [leg.request_body, leg.request_body_tail, leg.response_body, leg.response_body_tail] = bodies.try_into().unwrap();
        [leg.latency_ms, leg.ttfb_ms, leg.ttft_ms, leg.longest_gap_ms] = times.try_into().unwrap();
        leg.inclusion_probability = probability;
        leg.candidate_share = Some(probability / 2.0);
        leg.copies = text();
        leg.status = status;
        leg.request_body_bytes = request_bytes;
        leg.complete = complete;
        leg.tags = tags.into_iter().collect();
        leg
    }
}

fn record(leg: &Leg) -> LogRecord {
    LogRecord::decode(encode_record(leg).as_slice()).unwrap()
}

fn resource() -> Resource {
    Resource { proxy: "proxy-1".to_owned(), worker: "00000000000000ff".to_owned() }
}

/// A request with one record that holds the given attributes.
fn request_of(attributes: Vec<KeyValue>) -> Vec<u8> {
    let record = LogRecord { attributes, ..LogRecord::default() };
    encode_batch(&resource(), &[record.encode_to_vec()])
}

proptest! {
    #[test]
    fn a_leg_that_was_written_is_read(leg in any_leg()) {
        prop_assert_eq!(Leg::from_record(record(&leg)).unwrap(), leg);
    }

    #[test]
    fn the_writer_and_the_generated_encoder_agree(leg in any_leg()) {
        let bytes = encode_record(&leg);
        let record = LogRecord::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(LogRecord::decode(record.encode_to_vec().as_slice()).unwrap(), record);
    }

    #[test]
    fn a_batch_holds_its_records_in_order(legs in proptest::collection::vec(any_leg(), 0..5)) {
        let records: Vec<_> = legs.iter().map(encode_record).collect();
        let batch = encode_batch(&resource(), &records);
        let mut request = decode_request(&batch, DecodeLimits::default()).unwrap();
        prop_assert_eq!(request.encoded_len(), batch.len());
        let mut logs = request.resource_logs.pop().unwrap();
        let attributes = logs.resource.unwrap().attributes;
        prop_assert_eq!(attributes, [
            KeyValue::string(names::SERVICE_NAME, "weir"),
            KeyValue::string(names::PROXY, "proxy-1"),
            KeyValue::string(names::WORKER, "00000000000000ff"),
        ]);
        let read: Vec<_> = logs.scope_logs.pop().unwrap().log_records.into_iter().map(|record| Leg::from_record(record).unwrap()).collect();
        prop_assert_eq!(read, legs);
        let records_len: usize = records.iter().map(|record| batch_len(record.len())).sum();
        prop_assert!(records_len <= batch.len() && batch.len() <= records_len + 200);
    }

    #[test]
    fn legs_of_one_scope_are_read_as_if_each_said_everything_itself(leg in any_leg(), other in any_leg()) {
        // Of the same policy and profile, but with everything else of its own.
        let mut twin = Leg { tags: Vec::new(), ..other };
        (twin.leg, twin.variant, twin.inclusion_probability, twin.candidate_share) = (leg.leg, leg.variant, leg.inclusion_probability, leg.candidate_share);
        for (to, from) in [
            (&mut twin.experiment, &leg.experiment), (&mut twin.policy_digest, &leg.policy_digest), (&mut twin.snapshot, &leg.snapshot),
            (&mut twin.cohort, &leg.cohort), (&mut twin.tier, &leg.tier), (&mut twin.autonomy, &leg.autonomy), (&mut twin.copies, &leg.copies),
            (&mut twin.method, &leg.method), (&mut twin.request_content_type, &leg.request_content_type),
            (&mut twin.response_content_type, &leg.response_content_type), (&mut twin.response_content_encoding, &leg.response_content_encoding),
        ] { to.clone_from(from); }
        twin.revision = leg.revision;
        let shared = Shared { experiment: &leg.experiment, revision: leg.revision, policy_digest: &leg.policy_digest };
        let mut scope = Scope { attributes: encode_scope(shared, &leg.view()), records: Vec::new() };
        let leg = Leg { tags: Vec::new(), ..leg };
        let mut grown = 0;
        for leg in [&leg, &twin] {
            let record = encode_leg(&leg.view(), Vec::new());
            grown += scope.push(&record);
            prop_assert!(record.len() < encode_record(leg).len());
        }
        prop_assert_eq!(scope.records.len(), grown);
        let alone = Scope { attributes: Vec::new(), records: Vec::new() };
        let batch = encode_scopes(&resource(), [&alone, &scope]);
        let mut request = decode_request(&batch, DecodeLimits::default()).unwrap();
        prop_assert_eq!(request.encoded_len() > batch.len(), true);
        let records = request.resource_logs.pop().unwrap().scope_logs.pop().unwrap().log_records;
        let read: Vec<_> = records.into_iter().map(|record| Leg::from_record(record).unwrap()).collect();
        prop_assert_eq!(read, [leg, twin]);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_request(&bytes, DecodeLimits::default());
        let limits = DecodeLimits { messages_max: 3, ..DecodeLimits::default() };
        let _ = decode_request(&bytes, limits);
    }

    #[test]
    fn a_batch_that_was_cut_or_changed_never_panics(leg in any_leg(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut batch = encode_batch(&resource(), &[encode_record(&leg)]);
        let index = cut.index(batch.len());
        batch[index] = byte;
        let _ = decode_request(&batch, DecodeLimits::default());
        let _ = decode_request(&batch[..index], DecodeLimits::default());
    }
}

#[test]
fn a_score_that_was_written_is_read() {
    let score = Score {
        sample_id: "s".to_owned(),
        leg: LegKind::Shadow,
        variant: Variant::Candidate,
        experiment: "e".to_owned(),
        criterion: "helpful".to_owned(),
        score: -0.5,
        judge: String::new(),
        time_unix_nano: 7,
    };
    let record = LogRecord::decode(encode_score(&score).as_slice()).unwrap();
    assert_eq!(Score::from_record(record.clone()).unwrap(), score);
    assert!(matches!(Leg::from_record(record), Err(WireError::OtherEvent { .. })));
}

#[test]
fn what_a_leg_needs_is_asked_for_by_name() {
    let full = record(&Leg::new("s", LegKind::Primary, Variant::Control, "e"));
    for name in [names::SAMPLE_ID, names::LEG, names::VARIANT, names::EXPERIMENT] {
        let mut record = full.clone();
        record.attributes.retain(|attribute| attribute.key != name);
        assert_eq!(Leg::from_record(record), Err(WireError::Missing(name)));
    }
}

#[test]
fn a_value_of_another_type_or_range_is_an_error_with_its_name() {
    let full = record(&Leg::new("s", LegKind::Primary, Variant::Control, "e"));
    for (name, value, allowed) in [
        (names::LEG, Value::StringValue("third".to_owned()), "primary, shadow or noise"),
        (names::VARIANT, Value::StringValue("both".to_owned()), "control or candidate"),
        (names::REVISION, Value::StringValue("7".to_owned()), "an integer of 0 or more"),
        (names::SEQUENCE, Value::IntValue(-1), "an integer of 0 or more"),
        (names::STATUS, Value::IntValue(1000), "0 to 999"),
        (names::LATENCY_MS, Value::DoubleValue(f64::NAN), "a finite number"),
        (names::INCLUSION_PROBABILITY, Value::DoubleValue(0.0), "more than 0 and at most 1"),
        (names::COMPLETE, Value::IntValue(1), "true or false"),
        (names::COHORT, Value::BoolValue(true), "a string"),
        (names::RESPONSE_BODY, Value::IntValue(1), "bytes"),
    ] {
        let mut record = full.clone();
        record.attributes.retain(|attribute| attribute.key != name);
        record
            .attributes
            .push(KeyValue { key: name.to_owned(), value: Some(AnyValue { value: Some(value) }) });
        match Leg::from_record(record) {
            Err(WireError::Invalid { name: found, allowed: says, .. }) => {
                assert_eq!((found, says), (name, allowed))
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn an_attribute_of_a_newer_filter_is_ignored() {
    let leg = Leg::new("s", LegKind::Primary, Variant::Control, "e");
    let mut newer = record(&leg);
    newer.attributes.push(KeyValue::string("weir.later", "x"));
    assert_eq!(Leg::from_record(newer).unwrap(), leg);
}

#[test]
fn a_request_is_held_to_its_limits() {
    let small = DecodeLimits { request_bytes_max: 10, messages_max: 100 };
    assert_eq!(decode_request(&[0; 11], small), Err(WireError::TooLarge { bytes: 11, bytes_max: 10 }));
    // Two bytes each: empty resources, empty scopes, empty records, empty attributes.
    let resources: Vec<u8> = [0x0a, 0x00].repeat(1000);
    let few = DecodeLimits { request_bytes_max: 1 << 20, messages_max: 999 };
    let enough = DecodeLimits { messages_max: 1000, ..few };
    assert_eq!(decode_request(&resources, few), Err(WireError::TooMany { messages_max: 999 }));
    assert_eq!(decode_request(&resources, enough).unwrap().resource_logs.len(), 1000);
    let records: Vec<Vec<u8>> = vec![Vec::new(); 1000];
    assert_eq!(
        decode_request(&encode_batch(&resource(), &records), few),
        Err(WireError::TooMany { messages_max: 999 })
    );
    let attributes = vec![KeyValue::default(); 1000];
    assert_eq!(decode_request(&request_of(attributes), few), Err(WireError::TooMany { messages_max: 999 }));
}

#[test]
fn a_list_inside_a_value_counts_and_a_long_text_does_not() {
    let limits = DecodeLimits { request_bytes_max: 1 << 20, messages_max: 999 };
    let list = otlp::ArrayValue { values: vec![AnyValue::default(); 2000] };
    let nested = AnyValue { value: Some(Value::ArrayValue(list)) };
    let attribute = KeyValue { key: "a".to_owned(), value: Some(nested.clone()) };
    assert!(matches!(decode_request(&request_of(vec![attribute]), limits), Err(WireError::TooMany { .. })));
    let body = LogRecord { body: Some(nested), ..LogRecord::default() };
    let batch = encode_batch(&resource(), &[body.encode_to_vec()]);
    assert!(matches!(decode_request(&batch, limits), Err(WireError::TooMany { .. })));
    let text = KeyValue::string("a", "*\0".repeat(20_000));
    assert!(decode_request(&request_of(vec![text]), limits).is_ok());
}

#[test]
fn what_is_not_protobuf_is_malformed_with_a_hint() {
    let error = decode_request(br#"{"resourceLogs": []}"#, DecodeLimits::default()).unwrap_err();
    assert!(matches!(error, WireError::Malformed(_)));
    assert!(error.to_string().contains("is it true?"), "{error}");
}

#[test]
fn truncation_is_what_is_missing_between_head_and_tail() {
    let mut leg = Leg::new("s", LegKind::Primary, Variant::Control, "e");
    assert!(!leg.request_truncated() && !leg.response_truncated());
    leg.response_body = vec![0; 5];
    leg.response_body_tail = vec![0; 2];
    leg.response_body_bytes = 7;
    leg.request_body_bytes = Some(1);
    assert!(leg.request_truncated() && !leg.response_truncated());
    leg.response_body_bytes = 8;
    assert!(leg.response_truncated());
}

#[test]
fn a_refusal_of_some_records_says_how_many_and_why() {
    let response =
        otlp::ExportLogsServiceResponse::decode(encode_response(Some((3, "bad"))).as_slice()).unwrap();
    let partial = response.partial_success.unwrap();
    assert_eq!((partial.rejected_log_records, partial.error_message.as_str()), (3, "bad"));
    assert!(encode_response(None).is_empty());
}

#[test]
fn an_event_is_read_back_and_is_no_leg() {
    let event = weir_wire::Event {
        kind: weir_wire::GUARD_TRIPPED.to_owned(),
        experiment: "trial".to_owned(),
        revision: 7,
        policy_digest: "00ff".to_owned(),
        cohort: "general".to_owned(),
        reason: "slow".to_owned(),
        answers: 20,
        failures: 1,
        slow: 12,
        time_unix_nano: 9,
    };
    let record = LogRecord::decode(weir_wire::encode_event(&event).as_slice()).unwrap();
    assert_eq!(weir_wire::Event::from_record(record.clone()).unwrap(), event);
    assert!(matches!(Leg::from_record(record), Err(WireError::OtherEvent { .. })));
    let nothing = LogRecord { event_name: names::EVENT_FILTER.to_owned(), ..LogRecord::default() };
    assert_eq!(weir_wire::Event::from_record(nothing), Err(WireError::Missing(names::KIND)));
}
