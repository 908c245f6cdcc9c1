//! The address of a queue says where it is: `https://sqs.eu-central-1.amazonaws.com/123456789012/name`.

use crate::BucketError;

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueAddress {
    /// All of it.
    pub(super) url: String,
    /// Where requests go: scheme, host and port.
    pub(super) origin: String,
    /// The region, where the host's name tells.
    pub(super) region: Option<String>,
    /// The last part.
    pub(super) name: String,
}

impl QueueAddress {
    /// Takes it apart.
    ///
    /// # Errors
    /// [`BucketError::InvalidSetting`].
    pub(crate) fn parse(url: &str) -> Result<Self, BucketError> {
        let invalid = || {
            BucketError::InvalidSetting(
                "the address of the queue must be like https://sqs.eu-central-1.amazonaws.com/123456789012/name".into(),
            )
        };
        let url = url.trim().trim_end_matches('/');
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        let (host, path) = rest.split_once('/').ok_or_else(invalid)?;
        let (_, name) = path.rsplit_once('/').ok_or_else(invalid)?;
        let strange = |text: &str| text.is_empty() || text.contains(['@', ' ', '?', '#']);
        if !["http", "https"].contains(&scheme) || strange(host) || strange(path) || strange(name) {
            return Err(invalid());
        }
        Ok(Self {
            url: url.to_owned(),
            origin: format!("{scheme}://{host}"),
            region: region(host),
            name: name.to_owned(),
        })
    }
}

/// `sqs.REGION.…`, also of a private endpoint, and the older `REGION.queue.amazonaws.com`.
fn region(host: &str) -> Option<String> {
    let labels: Vec<&str> = host.split(['.', ':']).collect();
    let after = |name: &str| labels.iter().position(|label| *label == name).and_then(|at| labels.get(at + 1));
    let before =
        |name: &str| labels.iter().position(|label| *label == name).and_then(|at| labels.get(at.checked_sub(1)?));
    // A region has a name such as `eu-central-1`.
    let found = after("sqs").or_else(|| after("sqs-fips")).or_else(|| before("queue"))?;
    found.contains('-').then(|| (*found).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(url: &str) -> (String, Option<String>, String) {
        let address = QueueAddress::parse(url).unwrap();
        (address.origin, address.region, address.name)
    }

    #[test]
    fn an_address_tells_where_the_queue_is() {
        let aws = of("https://sqs.eu-central-1.amazonaws.com/123456789012/roomtone-talks-1a2b3c4d");
        let region = |name: &str| Some(name.to_owned());
        let expected = "https://sqs.eu-central-1.amazonaws.com";
        assert_eq!(aws, (expected.into(), region("eu-central-1"), "roomtone-talks-1a2b3c4d".into()));
        assert_eq!(of("https://eu-west-1.queue.amazonaws.com/1/q").1, region("eu-west-1"));
        assert_eq!(of("https://sqs-fips.us-gov-west-1.amazonaws.com/1/q").1, region("us-gov-west-1"));
        assert_eq!(of("https://vpce-1.sqs.us-east-2.vpce.amazonaws.com/1/q").1, region("us-east-2"));
        assert_eq!(of("https://queue.amazonaws.com/1/q").1, None);
        assert_eq!(
            of("http://127.0.0.1:4566/000000000000/name"),
            ("http://127.0.0.1:4566".into(), None, "name".into())
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "name",
            "arn:aws:sqs:eu-central-1:1:q",
            "https://sqs.eu-central-1.amazonaws.com",
            "ftp://h/1/q",
            "https://h/q",
            "https://key:secret@h/1/q",
            "https:///1/q",
            "https://h/1/q?x=1",
        ] {
            assert!(matches!(QueueAddress::parse(bad), Err(BucketError::InvalidSetting(_))), "{bad}");
        }
    }
}
