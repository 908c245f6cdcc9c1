//! `roomtone room`: what concerns everybody in it.

use roomtone_protocol::ErrorReport;
use roomtone_protocol::channel::Command;
use roomtone_studio::Visitor;
use serde::Serialize;

use crate::args::{Room, RoomWhat};
use crate::output::Output;
use crate::record::unconfirmed;
use crate::settings;

#[derive(Serialize)]
struct Closed {
    done: &'static str,
}

pub(crate) async fn run(arguments: Room, output: Output) -> Result<(), ErrorReport> {
    let invite = settings::invite(&arguments.invite)?;
    let RoomWhat::Close { yes } = arguments.what;
    if !yes {
        return Err(unconfirmed("closing sends everybody home"));
    }
    let visitor = Visitor::arrive(invite).await?;
    visitor.request(Command::CloseRoom).await?;
    visitor.leave().await;
    output.say(&Closed { done: "close" }, Some("the room is closed"));
    Ok(())
}
