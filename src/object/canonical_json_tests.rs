//! What canonical JSON promises: the vectors of RFC 8785, and the rules where we keep more than it does.

use proptest::prelude::*;

use super::*;

fn canonical(text: &str) -> String {
    Json::parse(text.as_bytes()).expect(text).canonical()
}

fn fault(text: &[u8]) -> JsonFault {
    Json::parse(text).expect_err(&String::from_utf8_lossy(text)).fault
}

/// RFC 8785, appendix B.
#[test]
fn doubles_are_written_as_rfc_8785_appendix_b_says() {
    let table: &[(u64, Option<&str>)] = &[
        (0x0000000000000000, Some("0")),
        (0x8000000000000000, Some("0")),
        (0x0000000000000001, Some("5e-324")),
        (0x8000000000000001, Some("-5e-324")),
        (0x7fefffffffffffff, Some("1.7976931348623157e+308")),
        (0xffefffffffffffff, Some("-1.7976931348623157e+308")),
        (0x4340000000000000, Some("9007199254740992")),
        (0xc340000000000000, Some("-9007199254740992")),
        (0x4430000000000000, Some("295147905179352830000")),
        (0x7fffffffffffffff, None),
        (0x7ff0000000000000, None),
        (0x44b52d02c7e14af5, Some("9.999999999999997e+22")),
        (0x44b52d02c7e14af6, Some("1e+23")),
        (0x44b52d02c7e14af7, Some("1.0000000000000001e+23")),
        (0x444b1ae4d6e2ef4e, Some("999999999999999700000")),
        (0x444b1ae4d6e2ef4f, Some("999999999999999900000")),
        (0x444b1ae4d6e2ef50, Some("1e+21")),
        (0x3eb0c6f7a0b5ed8c, Some("9.999999999999997e-7")),
        (0x3eb0c6f7a0b5ed8d, Some("0.000001")),
        (0x41b3de4355555553, Some("333333333.3333332")),
        (0x41b3de4355555554, Some("333333333.33333325")),
        (0x41b3de4355555555, Some("333333333.3333333")),
        (0x41b3de4355555556, Some("333333333.3333334")),
        (0x41b3de4355555557, Some("333333333.33333343")),
        (0xbecbf647612f3696, Some("-0.0000033333333333333333")),
        (0x43143ff3c1cb0959, Some("1424953923781206.2")),
    ];
    for (bits, text) in table {
        assert_eq!(es6_number(f64::from_bits(*bits)).as_deref(), *text, "{bits:016x}");
    }
}

/// RFC 8785, section 3.2.2. The first number has more digits than its double, so that here it stays.
#[test]
fn the_sample_of_rfc_8785_comes_out_but_for_the_number_that_would_change() {
    let text = r#"{
        "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]
    }"#;
    let expected = r#"{"literals":[null,true,false],"numbers":[333333333.33333329,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
    assert_eq!(canonical(text), expected);
}

/// RFC 8785, section 3.2.3.
#[test]
fn keys_are_sorted_by_utf16_code_units() {
    let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
        "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
        "\u00f6":"Latin Small Letter O With Diaeresis"}"#;
    let value = Json::parse(text.as_bytes()).expect("the RFC's sample");
    let values: Vec<&str> =
        value.as_object().expect("an object").members().iter().filter_map(|(_, v)| v.as_str()).collect();
    let expected = [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ];
    assert_eq!(values, expected);
}

#[test]
fn numbers_keep_their_literal_unless_their_double_says_the_same() {
    let table = [
        ("0", "0"),
        ("0.0", "0"),
        ("0e5", "0"),
        ("0e99999999999999999999999", "0"),
        ("-0", "-0"),
        ("-0.0", "-0.0"),
        ("1.0", "1"),
        ("1E2", "100"),
        ("100e-2", "1"),
        ("0.1", "0.1"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
        ("9007199254740992", "9007199254740992"),
        ("9007199254740993", "9007199254740993"),
        ("12345678901234567890", "12345678901234567890"),
        ("100000000000000000000000", "1e+23"),
        ("1e400", "1e400"),
        ("1e-400", "1e-400"),
        ("-1e400", "-1e400"),
        ("1e99999999999999999999999", "1e99999999999999999999999"),
        ("5e-324", "5e-324"),
        ("1e-7", "1e-7"),
        ("0.000001", "0.000001"),
    ];
    for (literal, expected) in table {
        assert_eq!(canonical(literal), expected);
        assert_eq!(canonical(&canonical(literal)), expected, "canonical form of {literal} is stable");
    }
}

#[test]
fn whole_numbers_are_read_only_if_they_fit() {
    let number = |text: &str| Json::parse(text.as_bytes()).expect("a number").as_u64();
    assert_eq!(number("18446744073709551615"), Some(u64::MAX));
    assert_eq!(number("41.0"), Some(41));
    for text in ["18446744073709551616", "-1", "1.5", "1e30", "-0"] {
        assert_eq!(number(text), None, "{text}");
    }
}

#[test]
fn what_has_no_single_meaning_is_refused() {
    use JsonFault::*;
    let table: &[(&[u8], JsonFault)] = &[
        (b"", Incomplete),
        (b"  ", Incomplete),
        (b"{\"a\":1", Incomplete),
        (b"{\"a\"", Incomplete),
        (b"\"abc", Incomplete),
        (b"\"caf\xc3", Incomplete),
        (b"\"\\ud83d", Incomplete),
        (b"\"\\ud83d\\", Incomplete),
        (b"tru", Incomplete),
        (b"-", Incomplete),
        (b"1.", Incomplete),
        (b"1e+", Incomplete),
        (b"{\"a\":1,\"a\":2}", DoubledKey),
        (b"{\"a\":1,\"\\u0061\":2}", DoubledKey),
        (b"[{\"b\":{\"k\":0,\"k\":0}}]", DoubledKey),
        (b"\"\\ud83d\"", LoneSurrogate),
        (b"\"\\ude00\"", LoneSurrogate),
        (b"\"\\ud83d\\u0041\"", LoneSurrogate),
        (b"\"\\ud83d\\ud83d\"", LoneSurrogate),
        (b"\"\xff\"", NotUtf8),
        (b"\"\xc0\xaf\"", NotUtf8),
        (b"\"\xed\xa0\x80\"", NotUtf8),
        (b"\"caf\xc3\"", NotUtf8),
        (b"NaN", Syntax),
        (b"Infinity", Syntax),
        (b"-Infinity", Syntax),
        (b"nul!", Syntax),
        (b"01", Syntax),
        (b"+1", Syntax),
        (b".5", Syntax),
        (b"1.e1", Syntax),
        (b"0x10", Syntax),
        (b"[1,]", Syntax),
        (b"{\"a\":1,}", Syntax),
        (b"{a:1}", Syntax),
        (b"{'a':1}", Syntax),
        (b"{\"a\" 1}", Syntax),
        (b"[1 2]", Syntax),
        (b"1 2", Syntax),
        (b"// no\n1", Syntax),
        (b"\"a\x00b\"", Syntax),
        (b"\"a\nb\"", Syntax),
        (b"\"\\x\"", Syntax),
        (b"\"\\u12g4\"", Syntax),
        (b"\xef\xbb\xbf{}", Syntax),
    ];
    for (text, expected) in table {
        assert_eq!(fault(text), *expected, "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn depth_128_is_read_and_129_refused_however_deep() {
    let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(Json::parse(nested(128).as_bytes()).is_ok());
    assert_eq!(fault(nested(129).as_bytes()), JsonFault::TooDeep);
    assert_eq!(fault("[".repeat(1_000_000).as_bytes()), JsonFault::TooDeep);
    assert_eq!(fault("{\"a\":".repeat(1_000_000).as_bytes()), JsonFault::TooDeep);
    // Width is not depth.
    assert!(Json::parse(format!("[{}1]", "[],".repeat(1000)).as_bytes()).is_ok());
}

#[test]
fn a_prefix_tells_where_it_ends() {
    let (value, end) = Json::parse_prefix(b" {\"a\":1}{\"b\":2}").expect("an object");
    assert_eq!((value.canonical().as_str(), end), ("{\"a\":1}", 8));
}

#[test]
fn object_without_a_member_is_written_without_it() {
    let value = Json::parse(br#"{"id":"x","b":1,"a":2}"#).expect("an object");
    let mut out = String::new();
    value.as_object().expect("an object").write_canonical_without(Some("id"), &mut out);
    assert_eq!(out, r#"{"a":2,"b":1}"#);
}

fn any_json() -> impl Strategy<Value = Json> {
    let double = any::<f64>().prop_filter_map("finite", |d| Some(Json::Number(JsonNumber(es6_number(d)?))));
    json_of(double)
}

fn json_of(number: impl Strategy<Value = Json> + 'static) -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<u64>().prop_map(Json::from),
        number,
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| {
                Json::Object(
                    JsonObject::from_members(map.into_iter().collect()).expect("a map's keys differ"),
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_text_reads_back_as_the_same_value(value in any_json()) {
        let text = value.canonical();
        prop_assert_eq!(&Json::parse(text.as_bytes()).expect("our own text"), &value);
    }

    /// serde_json is another reader: what it understands of our text it writes as we would. Without
    /// fractions, which it reads only nearly unless told otherwise.
    #[test]
    fn canonical_text_means_the_same_to_another_reader(value in json_of(Just(Json::Null))) {
        let text = value.canonical();
        let theirs: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        let spaced = serde_json::to_string_pretty(&theirs).expect("can be written");
        prop_assert_eq!(Json::parse(spaced.as_bytes()).expect("valid JSON").canonical(), text);
    }

    #[test]
    fn every_double_reads_back_bit_for_bit(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        match es6_number(double) {
            None => prop_assert!(!double.is_finite()),
            Some(text) => prop_assert_eq!(text.parse::<f64>().expect("a number") + 0.0, double + 0.0),
        }
    }

    #[test]
    fn doubles_between_two_decimals_take_the_even_one(n in 0u64..1 << 50) {
        // n + 1/4 lies between two decimals with one digit, and above 2^50 no shorter text is nearer.
        let whole = (1u64 << 50) + n;
        let double = whole as f64 + 0.25;
        prop_assert_eq!(es6_number(double).expect("finite"), format!("{whole}.2"));
        prop_assert_eq!(es6_number(double + 0.5).expect("finite"), format!("{whole}.8"));
    }

    #[test]
    fn whole_numbers_that_differ_never_share_a_text(a in any::<u64>(), b in any::<u64>()) {
        let near = a.wrapping_add(b % 4);
        prop_assert_eq!(a == near, Json::from(a).canonical() == Json::from(near).canonical());
        prop_assert_eq!(Json::from(a).as_u64(), Some(a));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_faults_point_inside(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(e) = Json::parse(&bytes) {
            prop_assert!(e.at <= bytes.len());
        }
    }

    /// Every proper prefix of an object is incomplete, never another fault: salvage relies on it.
    #[test]
    fn a_cut_object_is_incomplete_and_nothing_else(value in any_json(), cut in any::<prop::sample::Index>()) {
        let text = Json::Object(JsonObject::from_members(vec![("k".into(), value)]).expect("one key")).canonical();
        let cut = cut.index(text.len());
        prop_assert_eq!(fault(&text.as_bytes()[..cut]), JsonFault::Incomplete);
    }
}
