//! What a store says when something changed, in any of the envelopes in which it may arrive.
//!
//! | from | shape | keys |
//! |---|---|---|
//! | S3 event notifications, MinIO | `{"Records":[{"s3":{"bucket":{"name"},"object":{"key"}}}]}` | encoded as in a form |
//! | S3, when a notification is set up | `{"Event":"s3:TestEvent",…}` | none |
//! | SNS, unless it delivers raw | `{"Type":"Notification","Message":"…"}`, with one of the others as the text | as in it |
//! | EventBridge | `{"source":"aws.s3","detail":{"bucket":{"name"},"object":{"key"}}}` | as they are |
//!
//! An event is no state: it may come late, twice, or out of order. All that is taken from it is whether it concerns us.

use serde_json::Value;

use crate::prefix::is_reserved;

/// Envelopes within envelopes that are opened; SNS puts one around, and a second SNS another.
const ENVELOPES: usize = 4;

/// Which objects are ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ours<'a> {
    pub(super) bucket: &'a str,
    pub(super) prefix: &'a str,
}

impl Ours<'_> {
    /// Whether what a message tells may have changed something of ours. One that cannot be understood may.
    pub(super) fn concerns(self, message: &str) -> bool {
        self.concerns_within(message, ENVELOPES)
    }

    fn concerns_within(self, message: &str, envelopes: usize) -> bool {
        let Ok(message) = serde_json::from_str::<Value>(message) else { return true };
        if message.get("Event").and_then(Value::as_str) == Some("s3:TestEvent") {
            return false;
        }
        if let (Some("Notification"), Some(inner)) = (text(&message, "Type"), text(&message, "Message")) {
            return envelopes == 0 || self.concerns_within(inner, envelopes - 1);
        }
        if let Some(detail) = message.get("detail").filter(|_| text(&message, "source") == Some("aws.s3")) {
            let key = detail.pointer("/object/key").and_then(Value::as_str).map(str::to_owned);
            return self.is_ours(detail.pointer("/bucket/name").and_then(Value::as_str), key);
        }
        match message.get("Records") {
            Some(Value::Array(records)) => records.iter().any(|record| self.concerns_record(record)),
            // A sign of life.
            Some(Value::Null) => false,
            _ => true,
        }
    }

    fn concerns_record(self, record: &Value) -> bool {
        let key = record.pointer("/s3/object/key").and_then(Value::as_str).and_then(decoded);
        self.is_ours(record.pointer("/s3/bucket/name").and_then(Value::as_str), key)
    }

    fn is_ours(self, bucket: Option<&str>, key: Option<String>) -> bool {
        let (Some(bucket), Some(key)) = (bucket, key) else { return true };
        let below = key.strip_prefix(self.prefix);
        bucket == self.bucket && below.is_some_and(|name| !is_reserved(name) && !is_reserved(&key))
    }
}

fn text<'a>(message: &'a Value, field: &str) -> Option<&'a str> {
    message.get(field).and_then(Value::as_str)
}

/// Undoes the encoding of forms (`application/x-www-form-urlencoded`), in which S3 writes keys.
fn decoded(key: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(key.len());
    let mut rest = key.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const OURS: Ours<'static> = Ours { bucket: "talks", prefix: "team/" };

    fn record(bucket: &str, key: &str) -> Value {
        json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                            "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}}]})
    }

    fn concerns(message: &Value) -> bool {
        OURS.concerns(&message.to_string())
    }

    #[test]
    fn only_keys_below_the_prefix_concern_us() {
        assert!(concerns(&record("talks", "team/a.wav")));
        assert!(!concerns(&record("talks", "teams/a.wav")));
        assert!(!concerns(&record("others", "team/a.wav")));
        assert!(!concerns(&record("talks", "team/.roomtone/probe-1")));
        let mut two = record("talks", "elsewhere/a.wav");
        two["Records"]
            .as_array_mut()
            .unwrap()
            .extend(record("talks", "team/b.wav")["Records"].as_array().unwrap().clone());
        assert!(concerns(&two));
    }

    #[test]
    fn keys_are_decoded_as_forms_are() {
        let ours = Ours { bucket: "talks", prefix: "our team/ü+/" };
        assert!(ours.concerns(&record("talks", "our+team/%C3%BC%2B/a.wav").to_string()));
        assert!(!OURS.concerns(&record("talks", "our+team/%C3%BC%2B/a.wav").to_string()));
        assert_eq!(decoded("a%2Gb"), None);
        assert_eq!(decoded("a%2"), None);
        assert_eq!(decoded("%FF"), None);
        assert!(concerns(&record("talks", "%FF")), "what cannot be understood may be ours");
    }

    #[test]
    fn the_event_of_a_test_is_none() {
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-11-28T01:02:03.000Z",
                          "Bucket": "talks", "RequestId": "1", "HostId": "2"});
        assert!(!concerns(&test));
        let wrapped = json!({"Type": "Notification", "Message": test.to_string()});
        assert!(!concerns(&wrapped));
    }

    #[test]
    fn what_sns_wraps_is_unwrapped() {
        let wrap = |inner: &Value| {
            json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:…",
                                          "Message": inner.to_string(), "Timestamp": "2026-11-28T01:02:03.000Z"})
        };
        assert!(concerns(&wrap(&record("talks", "team/a.wav"))));
        assert!(!concerns(&wrap(&record("talks", "elsewhere/a.wav"))));
        assert!(!concerns(&wrap(&wrap(&record("talks", "elsewhere/a.wav")))));
        let deep = (0..10).fold(record("talks", "elsewhere/a.wav"), |inner, _| wrap(&inner));
        assert!(concerns(&deep), "nobody opens envelopes for ever");
    }

    #[test]
    fn event_bridge_writes_keys_as_they_are() {
        let event = |key: &str| {
            json!({"version": "0", "source": "aws.s3", "detail-type": "Object Created",
                   "detail": {"bucket": {"name": "talks"}, "object": {"key": key, "size": 1}}})
        };
        assert!(concerns(&event("team/a+b.wav")));
        assert!(!concerns(&event("elsewhere/a.wav")));
        assert!(Ours { prefix: "a+b/", ..OURS }.concerns(&event("a+b/c.wav").to_string()));
    }

    #[test]
    fn what_cannot_be_understood_is_a_reason_to_look() {
        for strange in
            ["", "hello", "{}", "[1,2]", r#"{"Records":7}"#, r#"{"Records":[{}]}"#, r#"{"Records":[{"s3":{}}]}"#]
        {
            assert!(OURS.concerns(strange), "{strange}");
        }
        assert!(!OURS.concerns(r#"{"Records":null}"#) && !OURS.concerns(r#"{"Records":[]}"#), "signs of life");
    }

    proptest! {
        #[test]
        fn whatever_a_message_says_it_is_understood_or_a_reason_to_look(
            key in any::<String>(),
            text in any::<String>(),
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assert!(OURS.concerns(&text) || serde_json::from_str::<Value>(&text).is_ok());
            OURS.concerns(&String::from_utf8_lossy(&bytes));
            OURS.concerns(&record("talks", &key).to_string());
            // Encoded byte by byte, any key comes back as it was.
            let encoded: String = key.bytes().map(|byte| format!("%{byte:02x}")).collect();
            prop_assert_eq!(decoded(&encoded), Some(key));
        }
    }
}
