//! One request from here to there, and its answer back, with whatever goes wrong on the way.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use super::request::Head;
use super::{Fault, Shared, lock};

/// Bytes that are passed on at once.
const PIECE: usize = 64 << 10;

/// Where a torn answer ends, in bytes of its body: inside of the first element of any XML that stores answer with.
const TORN_AT: usize = 60;

pub(super) fn serve(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    client.set_nodelay(true)?;
    let head = Head::read(&mut client)?;
    let fault = shared.fault(head.asked);
    match fault {
        Some(Fault::Silence) => {
            lock(&shared.silenced).push(client);
            return Ok(());
        }
        Some(Fault::Refused(status, code, retry_after)) => return refuse(client, head, status, code, retry_after),
        Some(Fault::Late(wait)) => thread::sleep(wait),
        _ => {}
    }
    let mut store = TcpStream::connect(shared.store)?;
    store.set_nodelay(true)?;
    store.write_all(&head.text)?;
    let passed = shared.begins(head.asked);
    let keeps_answer = matches!(fault, Some(Fault::AnswerLost | Fault::AnswerTorn));
    let answering = if keeps_answer {
        None
    } else {
        let (mut from, mut to) = (store.try_clone()?, client.try_clone()?);
        Some(thread::spawn(move || io::copy(&mut from, &mut to)))
    };
    let sent = send_body(&mut client, &mut store, &head, fault.as_ref(), |bytes| shared.went(passed, bytes));
    if let Err(error) = sent {
        // Both ends see that it broke off; what the client has still sent makes this a reset.
        drop(store.shutdown(Shutdown::Both));
        drop(client.shutdown(Shutdown::Both));
        return Err(error);
    }
    shared.is_whole(passed);
    match answering {
        Some(answering) => drop(answering.join()),
        None => {
            let mut answer = Vec::new();
            store.read_to_end(&mut answer)?;
            if fault == Some(Fault::AnswerTorn) {
                client.write_all(&torn(&answer))?;
            }
        }
    }
    if let Some(Fault::ClosedLate(wait)) = fault {
        thread::sleep(wait);
    }
    // The answering thread's copy of the socket is gone by now, or goes with it.
    client.shutdown(Shutdown::Both)
}

fn send_body(
    client: &mut TcpStream,
    store: &mut TcpStream,
    head: &Head,
    fault: Option<&Fault>,
    went: impl Fn(u64),
) -> io::Result<()> {
    let mut gone = 0;
    let mut pass = |piece: &mut [u8]| -> io::Result<()> {
        if let Some(Fault::Reset(after)) = fault
            && gone + piece.len() as u64 > *after
        {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if let Some(Fault::Slow(rate)) = fault {
            thread::sleep(Duration::from_micros(piece.len() as u64 * 1_000_000 / rate));
        }
        if matches!(fault, Some(Fault::Garbled)) && gone == 0 && !piece.is_empty() {
            piece[piece.len() / 2] ^= 1;
        }
        store.write_all(piece)?;
        gone += piece.len() as u64;
        went(piece.len() as u64);
        Ok(())
    };
    let mut begun = head.begun.clone();
    pass(&mut begun)?;
    let mut left = head.length.saturating_sub(begun.len() as u64);
    let mut piece = vec![0; PIECE];
    while left > 0 {
        let most = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        let read = client.read(&mut piece[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        pass(&mut piece[..read])?;
        left -= read as u64;
    }
    Ok(())
}

/// Answers for the store, as stores do: after the body, or whoever sends it would see a broken connection instead.
fn refuse(mut client: TcpStream, head: Head, status: u16, code: &str, retry_after: Option<u32>) -> io::Result<()> {
    let left = head.length.saturating_sub(head.begun.len() as u64);
    io::copy(&mut (&client).take(left), &mut io::sink())?;
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>as planned</Message></Error>"
    );
    let retry_after = retry_after.map(|seconds| format!("retry-after: {seconds}\r\n")).unwrap_or_default();
    let answer = format!(
        "HTTP/1.1 {status} As Planned\r\ncontent-type: application/xml\r\n{retry_after}content-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes())?;
    client.shutdown(Shutdown::Both)
}

/// The answer without the rest of its body, its head as if that were all. Answers without much of a body stay whole.
fn torn(answer: &[u8]) -> Vec<u8> {
    let Some(end) = answer.windows(4).rposition(|four| four == b"\r\n\r\n").map(|at| at + 4) else {
        return answer.to_vec();
    };
    let (head, body) = answer.split_at(end);
    let body = &body[..body.len().min(TORN_AT)];
    let head = String::from_utf8_lossy(head);
    let kept = head.trim_end().split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        name != "content-length" && name != "transfer-encoding"
    });
    let mut torn: Vec<u8> = kept.flat_map(|line| [line.as_bytes(), b"\r\n"].concat()).collect();
    torn.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    torn.extend_from_slice(body);
    torn
}
