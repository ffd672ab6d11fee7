//! Tests of `time`.

use super::*;

#[test]
fn text_that_posthog_reads_is_a_time() {
    for (text, want) in [
        ("2031-04-05T06:07:08Z", "2031-04-05T06:07:08Z"),
        ("2031-04-05 06:07:08.5+02:00", "2031-04-05T04:07:08.5Z"),
        (
            "2031-04-05T06:07:08.123456789Z",
            "2031-04-05T06:07:08.123456Z",
        ),
        ("2031-04-05", "2031-04-05"),
        ("2031-04-05T06:07:08", "2031-04-05T06:07:08"),
        (" -7d ", "-7d"),
        ("-1mStart", "-1mStart"),
        ("dStart", "dStart"),
        ("-90M", "-90M"),
        ("all", "all"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31", "9999-12-31"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        ("9999-12-31 23:59:59.5z", "9999-12-31T23:59:59.5Z"),
    ] {
        assert_eq!(
            Time::parse(text).map(|t| t.text).as_deref(),
            Ok(want),
            "{text}"
        );
    }
    for text in [
        "",
        "-",
        "7",
        "-7",
        "-7x",
        "-7dstart",
        // PostHog reads these as seven days ago, and as now.
        "+7d",
        "d",
        "-m",
        "20310405",
        "2031-04-05Z",
        "2031-04-05T06:07:08-",
        "9999-12-31T23:59:59-01:00",
        "0000-04-05",
        "-000044-03-15T00:00:00Z",
        "yesterday",
        "2031-04-05 06:07:08 UTC",
        // chrono's and time's `Display`.
        "2031-04-05 06:07:08.899409176 UTC",
        "2031-04-05 6:07:08.899409176 +00:00:00",
        "2031-13-05",
        "2031-04-31T00:00:00",
        "2031-04-05[Europe/Berlin]",
        "2031-04-05T06:07:08[Europe/Berlin]",
    ] {
        assert_eq!(Time::parse(text), Err(TimeError), "{text}");
    }
}

#[test]
fn times_of_answers_compute() {
    let second = |n: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(n);
    for (text, want) in [
        ("1970-01-02T00:00:00Z", Some(second(86_400))),
        ("1970-01-02", Some(second(86_400))),
        ("1970-01-02T00:00:01+00:00", Some(second(86_401))),
        ("1970-01-02 00:00:01", Some(second(86_401))),
        ("-7d", None),
        ("never", None),
        ("1970-01-02T00:00:00[Europe/Berlin]", None),
    ] {
        let time: Time = serde_json::from_value(text.into()).unwrap();
        assert_eq!(time.as_str(), text);
        assert_eq!(time.to_system_time(), want, "{text}");
        assert_eq!(serde_json::to_value(&time).unwrap(), text);
    }
}

#[test]
fn a_time_that_no_text_says_is_a_problem() {
    let time = Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    assert_eq!(time.checked("after").unwrap_err().setting, "after");
    assert!(Time::at(second_of_9999()).checked("after").is_ok());
    let ancient = SystemTime::UNIX_EPOCH - Duration::from_secs(62_135_596_801);
    for time in [
        Time::at(ancient),
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40)),
    ] {
        assert!(serde_json::to_value(&time).is_err(), "{time}");
        assert!(time.checked("after").is_err());
    }
    assert_eq!(Time::day(2031, 2, 29), Err(TimeError));
    assert_eq!(Time::day(0, 2, 28), Err(TimeError));
    assert_eq!(Time::day(2032, 2, 29).unwrap().as_str(), "2032-02-29");
}

#[test]
fn a_system_time_in_json_is_a_text() {
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
    let text = "1970-01-01T00:00:01.5Z";
    let json = |value| with_time_texts(serde_json::to_value(value).unwrap());
    assert_eq!(json(time), text);
    let list = with_time_texts(serde_json::to_value([time, time]).unwrap());
    assert_eq!(list, serde_json::json!([text, text]));
    for other in [
        serde_json::json!({"secs_since_epoch": 1, "nanos_since_epoch": "a"}),
        serde_json::json!({"secs_since_epoch": 1, "b": 2}),
        serde_json::json!({"secs_since_epoch": u64::MAX, "nanos_since_epoch": u64::MAX}),
    ] {
        assert_eq!(with_time_texts(other.clone()), other);
    }
}

fn second_of_9999() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(253_370_764_800)
}
