//! What an S3 request asks for, as its first line and its head tell.

use std::io::{self, Read};

/// Heads are longer than this nowhere.
const LONGEST_HEAD: usize = 64 << 10;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To begin an upload in parts.
    Create,
    /// To take a part.
    Part(u32),
    /// To put the parts together.
    Complete,
    /// Which parts there are.
    Parts,
    /// To forget an upload.
    Abort,
    /// What there is.
    List,
    /// Whether there is an object.
    Head,
    /// An object.
    Get,
    /// To take an object.
    Put,
    /// To remove an object.
    Delete,
    /// Something else.
    Other,
}

impl Asked {
    /// The number of the part that is sent.
    #[must_use]
    pub fn part(self) -> Option<u32> {
        if let Self::Part(number) = self { Some(number) } else { None }
    }

    fn of(method: &str, target: &str) -> Self {
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let field = |name: &str| {
            query.split('&').find_map(|field| {
                let (key, value) = field.split_once('=').unwrap_or((field, ""));
                (key == name).then_some(value)
            })
        };
        let of_upload = field("uploadId").is_some();
        match method {
            "POST" if field("uploads").is_some() => Self::Create,
            "POST" if of_upload => Self::Complete,
            "PUT" if of_upload => {
                field("partNumber").and_then(|number| number.parse().ok()).map_or(Self::Other, Self::Part)
            }
            "PUT" => Self::Put,
            "GET" if of_upload => Self::Parts,
            "GET" if field("list-type").is_some() => Self::List,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "DELETE" if of_upload => Self::Abort,
            "DELETE" => Self::Delete,
            _ => Self::Other,
        }
    }
}

/// A request's head, and what came with it of its body.
pub(super) struct Head {
    pub(super) asked: Asked,
    /// As it goes on to the store: it is to close the connection after its answer.
    pub(super) text: Vec<u8>,
    /// Bytes of the body.
    pub(super) length: u64,
    pub(super) begun: Vec<u8>,
}

impl Head {
    /// Reads a head.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            let mut more = [0; 4096];
            let read = from.read(&mut more)?;
            if read == 0 || bytes.len() > LONGEST_HEAD {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&more[..read]);
        };
        let begun = bytes.split_off(end);
        let text = String::from_utf8(bytes).map_err(io::Error::other)?;
        let mut lines = text.trim_end().split("\r\n");
        let first = lines.next().unwrap_or_default();
        let mut words = first.split(' ');
        let asked = Asked::of(words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (mut length, mut passed) = (0, format!("{first}\r\n"));
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            if !name.eq_ignore_ascii_case("connection") {
                passed.push_str(line);
                passed.push_str("\r\n");
            }
        }
        passed.push_str("connection: close\r\n\r\n");
        Ok(Self { asked, text: passed.into_bytes(), length, begun })
    }
}
