//! The proxy in front of a server of one answer.

use std::io::{Read as _, Write as _};

use super::*;

const BODY: &[u8] = b"0123456789";

/// Answers everything with the number of bytes it got, in a body long enough to be torn.
fn store() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let head = request::Head::read(&mut client).unwrap();
            let mut body = head.begun;
            let left = head.length.saturating_sub(body.len() as u64);
            if (&client).take(left).read_to_end(&mut body).is_err() || (body.len() as u64) < head.length {
                continue;
            }
            let text = format!("{}{}", String::from_utf8_lossy(&body), ".".repeat(100));
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}", text.len());
            drop(client.write_all(answer.as_bytes()));
        }
    });
    address
}

/// What comes back of a part that is sent.
fn send(proxy: &FaultProxy) -> Vec<u8> {
    let mut client = TcpStream::connect(proxy.address).unwrap();
    let head = format!("PUT /b/k?partNumber=3&uploadId=u HTTP/1.1\r\ncontent-length: {}\r\n\r\n", BODY.len());
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(BODY).unwrap();
    let mut answer = Vec::new();
    // A reset says that there is none.
    drop(client.read_to_end(&mut answer));
    answer
}

fn body(answer: &[u8]) -> String {
    let text = String::from_utf8(answer.to_vec()).unwrap();
    text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

#[test]
fn requests_pass_and_are_counted_but_for_what_is_planned() {
    let proxy = FaultProxy::start(&store());
    assert!(body(&send(&proxy)).starts_with("0123456789."));
    proxy.plan(|asked| asked == Asked::Part(3), Fault::Refused(503, "SlowDown", Some(7)), 1);
    proxy.plan(|asked| asked.part().is_some(), Fault::Reset(4), 1);
    proxy.plan(|_| true, Fault::AnswerLost, 1);
    proxy.plan(|_| true, Fault::AnswerTorn, 1);
    proxy.plan(|_| true, Fault::Garbled, 1);
    proxy.plan(|asked| asked == Asked::Head, Fault::Silence, 1);
    let refused = String::from_utf8(send(&proxy)).unwrap();
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("retry-after: 7\r\n"), "{refused}");
    assert_eq!(body(&send(&proxy)), "", "it broke off");
    assert_eq!(body(&send(&proxy)), "", "it was lost");
    assert_eq!(body(&send(&proxy)).len(), 60, "it was torn");
    let garbled = body(&send(&proxy));
    assert!(!garbled.starts_with("0123456789") && garbled.len() == 110, "{garbled}");
    assert!(body(&send(&proxy)).starts_with("0123456789."));
    assert!(!proxy.all_came(), "nobody asked for the head");
    let whole: Vec<bool> = proxy.passed().iter().map(|passed| passed.whole).collect();
    assert_eq!(whole, [true, false, true, true, true, true]);
    assert_eq!(proxy.whole_parts(), 5);
}
