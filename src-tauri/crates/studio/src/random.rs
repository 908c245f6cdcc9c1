//! Random numbers of the operating system; rules get them as arguments.

use roomtone_protocol::ErrorReport;
use roomtone_protocol::code;

/// `N` random bytes.
///
/// # Errors
/// If the operating system has none, which it only says early in its start.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], ErrorReport> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        ErrorReport::new(code::IO, format!("the system gave no random numbers: {error}"), "try again in a moment")
    })?;
    Ok(bytes)
}
