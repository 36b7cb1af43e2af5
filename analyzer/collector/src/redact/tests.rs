//! Every kind alone, in its ways of being written, and what only looks like one.
use std::sync::LazyLock;

use super::*;
use proptest::prelude::*;
use weir_sample::Sample;

static MASKING: LazyLock<Redactor> = LazyLock::new(|| Redactor::new().unwrap());

fn redact(text: &str) -> (String, Finds) {
    let mut finds = Finds::default();
    (MASKING.redact(text, &mut finds).into_owned(), finds)
}

fn found(text: &str) -> Vec<Secret> {
    let (_, finds) = redact(text);
    Secret::ALL.into_iter().flat_map(|secret| vec![secret; finds.of(secret) as usize]).collect()
}

#[test]
fn secrets_of_every_kind_are_marked_and_what_is_around_them_stays() {
    let cases = [
        ("write to jane.doe+x@mail.example.com.", "write to [redacted:email]."),
        ("card 4111 1111 1111 1111 12/27", "card [redacted:card] 12/27"),
        ("xghp_abcdefghijklmnopqrstuvwxyz0123456789", "x[redacted:api_key]"),
        ("2024-4111111111111111 ok", "2024-[redacted:card] ok"),
        ("Authorization: Bearer abcdef123456==", "Authorization: Bearer [redacted:bearer]"),
        ("key sk-proj-abcdEFGH1234567890xyz!", "key [redacted:api_key]!"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted:api_key]"),
        ("id=AKIAIOSFODNN7EXAMPLE;", "id=[redacted:api_key];"),
        ("t eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ e", "t [redacted:jwt] e"),
        (
            "a -----BEGIN RSA PRIVATE KEY-----\\nMII\\n-----END RSA PRIVATE KEY----- b",
            "a [redacted:private_key] b",
        ),
        ("a -----BEGIN PRIVATE KEY-----\nMII cut", "a [redacted:private_key]"),
    ];
    for (text, expected) in cases {
        let (redacted, finds) = redact(text);
        assert_eq!(redacted, expected);
        assert_eq!(finds.total(), 1, "{text}");
    }
}

#[test]
fn secrets_that_are_glued_together_are_all_marked() {
    let (redacted, finds) = redact("4111 1111 1111 1111sk-abcdefghijklmnopqrst");
    assert_eq!((redacted.as_str(), finds.total()), ("[redacted:card][redacted:api_key]", 2));
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    for text in [
        "4111 1111 1111 1112",
        "1767323045001000",
        "call me @ noon, a@b",
        "sk-short",
        "-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----",
        "the bearer of news",
        "41111111111111111111111111111111",
    ] {
        assert_eq!(redact(text), (text.to_owned(), Finds::default()));
    }
}

#[test]
fn every_text_of_a_row_is_redacted_and_identifiers_still_join() {
    let mut row = Sample {
        sample_id: "jane@example.com".into(),
        request_id: Some("4111111111111111".into()),
        response_text: Some("sk-abcdefghijklmnopqrst".into()),
        tags: [("mail".to_owned(), "joe@example.org".to_owned())].into(),
        path: Some("/v1?mail=joe@example.org".into()),
        ..Sample::default()
    };
    let mut other = Sample { sample_id: row.sample_id.clone(), ..Sample::default() };
    let (redactor, mut finds) = (Redactor::new().unwrap(), Finds::default());
    redactor.redact_row(&mut row, &mut finds);
    assert_eq!(finds.total(), 5);
    assert_eq!(finds.of(Secret::Email), 3);
    let shown = format!("{row:?}");
    for secret in ["jane", "joe@", "4111", "sk-abc"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    redactor.redact_row(&mut other, &mut finds);
    assert_eq!(row.sample_id, other.sample_id);
}

#[test]
fn every_kind_is_found_in_the_ways_in_which_it_is_written() {
    let cases: &[(Secret, &[&str])] = &[
        (
            Secret::Email,
            &[
                "j\u{fc}rgen.m@m\u{fc}ller-shop.example",
                "<a.b-c_d%e@x.co.uk>",
                "ma\u{200b}il@example.com",
                "me@example.com.",
                "x@xn--fsq.xn--0zwm56d",
            ],
        ),
        (
            Secret::Phone,
            &[
                "+49 170 1234567",
                "+1 (415) 555-2671",
                "+14155552671",
                "+44 20 7946 0958",
                "+49 (0)30 123456",
                "0049 170 1234567",
                "(415) 555-2671",
                "415-555-2671",
                "415.555.2671",
                "1-415-555-2671",
                "030 1234567",
                "089/12345678",
                "01 23 45 67 89",
                "0170-1234567",
                "020 7946 0958",
                "(030) 1234567",
                "phone: 5552671",
                "Tel. no. 4155552671",
                "\"mobile\":\"4155552671\"",
                "call me at 555-2671",
                "tel:+41-44-668-18-00",
                "+49\u{a0}170\u{202f}1234567",
            ],
        ),
        (
            Secret::Card,
            &[
                "4111111111111111",
                "4111-1111-1111-1111",
                "3782 822463 10005",
                "378282246310005",
                "5555 5555 5555 4444",
                "6011111111111117",
                "30569309025904",
                "3530111333300000",
                "\u{ff14}111 1111 1111 1111",
                "card%3D4111+1111+1111+1111",
            ],
        ),
        (
            Secret::Iban,
            &[
                "DE89370400440532013000",
                "DE89 3704 0044 0532 0130 00",
                "gb82 west 1234 5698 7654 32",
                "FR14-2004-1010-0505-0001-3M02-606",
                "NO9386011117947",
            ],
        ),
        (
            Secret::Ip,
            &[
                "10.1.2.3",
                "from 203.0.113.7:8080,",
                "[2001:db8::1]:443",
                "2001:db8:85a3:8d3:1319:8a2e:370:7348",
                "fe80::1ff:fe23:4567:890a%eth0",
                "::ffff:192.0.2.128",
                "10.0.0.0/8",
            ],
        ),
        (Secret::Mac, &["00:1b:44:11:3a:b7", "00-1B-44-11-3A-B7"]),
        (
            Secret::ApiKey,
            &[
                "sk-ant-api03-abcdefghij0123456789-ABCDEFG",
                "AIzaSyA1234567890abcdefghijklmnopqrstuv",
                "glpat-abcdefghij0123456789",
                "xoxb-123456789012-abcdefGHIJKL",
                "sk_live_abcdefghijklmnop",
                "hf_abcdefghijklmnopqrstuvwxyz",
                "ya29.a0AfH6SMBabcdefghijklmnop",
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY1",
                "\"api-key\": \"0123456789abcdef0123456789abcdef\"",
                "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq==;",
                "123456789:AAabcdefghijklmnopqrstuvwxyz012345678",
                "abc8Q~abcdefghijklmnopqrstuvwxyz01234567",
                "https://hooks.slack.com/services/T0000/B0000/abcdefghijkl",
            ],
        ),
        (Secret::Bearer, &["Bearer abc123.def", "authorization: bearer abcdefghijkl"]),
        (Secret::Basic, &["Authorization: Basic amFuZTpodW50ZXIy", "basic dXNlcjpwYXNzd29yZA=="]),
        (Secret::Password, &["postgres://app:hunter2@db.internal:5432/x", "https://me:p:w@h.example/"]),
        (Secret::Jwt, &["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "eyJhbGciOi.eyJzdWIiOi.abc.def.ghi"]),
        (
            Secret::PrivateKey,
            &[
                "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA",
                "MIIEvQIBADANBgkqhkiG9w0\n9aBc==\n-----END PRIVATE KEY-----\n",
                "-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (secret, texts) in cases {
        for text in *texts {
            for text in [
                (*text).to_owned(),
                format!("see {text} there"),
                format!("{{\"a\":\"{}\"}}", text.replace('"', "'")),
            ] {
                if found(&text) != [*secret] {
                    wrong.push(format!("{text} became {}", redact(&text).0));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ordinary_text_code_and_numbers_stay() {
    for text in [
        "2024-01-15T10:30:00Z, 01.02.2024 12:30, 01-02-2024 1530, 12:30:45.123, 01/02/2024 10",
        "3.14159265358979, 1,234,567,890.12, 1 000 000 000, 0.000123456789, 6.022e23, +10 000 000 users",
        "123e4567-e89b-12d3-a456-426614174000 and 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "commit a3412bd4111111111111111e5f, 1767323045001000123, order 20241115-000123",
        "std::vec::Vec, face::add, a::b, 127.0.0.1:8080, ::1, 0.0.0.0, 255.255.255.0, version 1.2.3.4, v10.0.0.1",
        "ISBN 978-3-16-148410-0, 0-306-40615-2, part 12-34-567, room 0123, 100-200-3000",
        "max_tokens: 4096, token = request.headers.get(name), secret: none, api_key=YOUR_API_KEY, password: hunter2",
        "basic understanding, Bearer certificates, the bearer instruments, sk-fading-circle-spinner-animation",
        "git@github.com:org/repo.git, @app.route, a @ b, pkg@1.2.3, 5 @ 3.50",
        "(1234) 56, f(12) 345, call 12 people, 200 300 400, x = 415 - 555 - 2671, 2+12345678",
        "https://example.com:8080/a/b?c=d#e, C:\\new\\table, \\d{3}-\\d{4}, 50% off, 100%25",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    ] {
        assert_eq!(redact(text).0, text);
    }
}

#[test]
fn escaped_secrets_are_found_and_taken_out_of_the_raw_text() {
    let cases = [
        (r#"{"m":"jane\u0040example.com"}"#, r#"{"m":"[redacted:email]"}"#),
        (r#"{"m":"a\njane@example.com\nb"}"#, r#"{"m":"a\n[redacted:email]\nb"}"#),
        (r#"{"a":"{\"m\":\"jane\\u0040example.com\"}"}"#, r#"{"a":"{\"m\":\"[redacted:email]\"}"}"#),
        (
            r#"{"p":"postgres:\/\/app:hunter2@db\/x"}"#,
            r#"{"p":"postgres:\/\/app:[redacted:password]@db\/x"}"#,
        ),
        (r#"{"c":"\u0034\u0031\u0031\u0031 1111 1111 1111"}"#, r#"{"c":"[redacted:card]"}"#),
        (r#"{"e":"\ud83d\ude00jane@example.com"}"#, r#"{"e":"\ud83d\ude00[redacted:email]"}"#),
        ("/v1?m=jane%40example.com&n=1", "/v1?m=[redacted:email]&n=1"),
        (
            r#"{"card":4111111111111111, "n":[378282246310005]}"#,
            r#"{"card":"[redacted:card]", "n":["[redacted:card]"]}"#,
        ),
    ];
    for (text, expected) in cases {
        let (redacted, _) = redact(text);
        assert_eq!(redacted, expected);
        if text.starts_with('{') {
            serde_json::from_str::<serde_json::Value>(&redacted).unwrap();
        }
    }
}

#[test]
fn secrets_that_are_split_over_the_events_of_a_stream_are_taken_out_of_all_of_them() {
    let event = |text: &str| format!("data: {{\"delta\":{{\"x\":\"{text}\"}},\"index\":0}}\n\n");
    let stream: String = ["to ja", "ne\\u00", "40exam", "ple.com", " now"].map(event).concat();
    let expected: String = ["to [redacted:email]", "", "", "", " now"].map(event).concat();
    assert_eq!(redact(&stream), (expected, redact("a@b.cd").1));
}

#[test]
fn finds_are_hashed_with_the_key_dropped_or_kept_as_the_rules_say() {
    let rules = |key: &[u8]| {
        let mut rules = Rules { key: HashKey::new(key), ..Rules::default() };
        for (secret, action) in
            [(Secret::Email, Action::Hash), (Secret::Card, Action::Drop), (Secret::Ip, Action::Keep)]
        {
            rules.set_action(secret, action);
        }
        rules.patterns.push(PatternRule {
            name: "ticket".into(),
            pattern: regex::Regex::new(r"TCK-\d+").unwrap(),
            action: Action::Mask,
        });
        Redactor::with(rules).unwrap()
    };
    let redact = |redactor: &Redactor, text: &str| redactor.redact(text, &mut Finds::default()).into_owned();
    let (one, other) = (rules(b"0123456789abcdef"), rules(b"another key of some length"));
    let hash = redact(&one, "jane@example.com");
    assert!(hash.starts_with("[email:") && hash.len() == 34, "{hash}");
    assert_eq!(redact(&one, r"\nJane\u0040Example.com"), format!(r"\n{hash}"), "equal values join");
    assert_ne!(redact(&other, "jane@example.com"), hash);
    assert_ne!(redact(&one, "joe@example.com"), hash);
    assert_eq!(redact(&one, "a 4111 1111 1111 1111 b 10.1.2.3 TCK-42"), "a  b 10.1.2.3 [redacted:ticket]");
    assert_eq!(redact(&one, r#"{"c":4111111111111111}"#), r#"{"c":null}"#);
    assert!(HashKey::new(b"short").is_none());
}

#[test]
fn values_at_json_paths_are_replaced_and_json_stays_json() {
    let field = |path: &[Segment], action| FieldRule { path: path.to_vec(), action };
    let key = |name: &str| Segment::Key(name.to_owned());
    let mut rules = Rules { key: HashKey::new(b"0123456789abcdef"), ..Rules::default() };
    rules.fields = vec![
        field(&[key("user"), key("name")], Action::Mask),
        field(&[key("items"), Segment::Item, key("id")], Action::Hash),
        field(&[Segment::AnyKey, key("gone")], Action::Drop),
    ];
    let redactor = Redactor::with(rules).unwrap();
    let mut finds = Finds::default();
    let text = r#"{"user":{"n\u0061me":"Jane","age":3},"items":[{"id":7},{"id":7},{"id":"8"}],"x":{"gone":[1,{"a":2}]}}"#;
    let redacted: serde_json::Value = serde_json::from_str(&redactor.redact(text, &mut finds)).unwrap();
    assert_eq!(redacted["user"], serde_json::json!({"name": "[redacted:field]", "age": 3}));
    assert_eq!(redacted["x"]["gone"], serde_json::Value::Null);
    assert_eq!(redacted["items"][0], redacted["items"][1]);
    assert_ne!(redacted["items"][0], redacted["items"][2]);
    assert_eq!(finds.of(Secret::Field), 5);
    let stream = "data: {\"user\":{\"name\":\"Jane\"}}\n\ndata: {\"user\":{\"name\":\"Joe\"}}\n\n";
    let redacted = redactor.redact(stream, &mut finds);
    assert!(!redacted.contains("Jane") && !redacted.contains("Joe"), "{redacted}");
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing_more(text in "([a-z0-9@. -]|4111 1111 1111 1111|-----BEGIN PRIVATE KEY-----|-----END |Bearer abcdefgh){0,30}") {
        let (once, _) = redact(&text);
        prop_assert_eq!(redact(&once).0, once);
    }

    #[test]
    fn any_text_is_redacted_without_panic(text in any::<String>()) {
        let (redacted, finds) = redact(&text);
        prop_assert_eq!(redacted == text, finds.total() == 0);
    }
}
