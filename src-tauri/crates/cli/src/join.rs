//! `roomtone join`.

use roomtone_capture::MicrophoneSpec;
use roomtone_protocol::ErrorReport;
use roomtone_studio::{DataDir, Participant, ParticipantEvent, ParticipantOptions};

use crate::args::{Common, Join};
use crate::output::Output;
use crate::settings;
use crate::signals::asked_to_end;

pub(crate) async fn run(common: &Common, arguments: Join, output: Output) -> Result<(), ErrorReport> {
    let invite = settings::invite(&arguments.invite)?;
    let settings = settings::surrounding(common)?.check()?;
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    let start = data_dir.start()?;
    let microphone = if arguments.observe { MicrophoneSpec::None } else { arguments.mic };
    let options =
        ParticipantOptions { name: arguments.name, microphone, bitrate: settings.bitrate(), stay: arguments.stay };
    let addresses =
        if arguments.media_addrs.is_empty() { settings.media_addrs.unwrap_or_default() } else { arguments.media_addrs };
    let (participant, mut events) = Participant::join(&data_dir, &start, invite, options, addresses).await?;
    let leaving = async {
        asked_to_end().await;
        participant.leave().await;
        std::future::pending::<()>().await;
    };
    tokio::pin!(leaving);
    loop {
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return Ok(()) };
                if is_line(&event) {
                    output.say(&event, text(&event).as_deref());
                }
                if let ParticipantEvent::Left { error, .. } = event {
                    return error.map_or(Ok(()), Err);
                }
            }
            () = &mut leaving => {}
        }
    }
}

/// The others are for windows.
fn is_line(event: &ParticipantEvent) -> bool {
    !matches!(event, ParticipantEvent::State(_) | ParticipantEvent::Microphone { .. })
}

/// What a person at a terminal reads of an event.
fn text(event: &ParticipantEvent) -> Option<String> {
    Some(match event {
        ParticipantEvent::Joined { .. } => "you are in the room; what you say may be recorded".to_owned(),
        ParticipantEvent::RecordingState(line) => format!("recording {} is {}", line.recording.short(), line.state),
        ParticipantEvent::SafeToQuit { value: true } => "everything of yours has arrived".to_owned(),
        ParticipantEvent::SafeToQuit { value: false } => "your voice is being recorded and sent".to_owned(),
        ParticipantEvent::Alarm { active: true, message, .. } => format!("your microphone: {message}"),
        ParticipantEvent::Alarm { active: false, .. } => "your microphone is well again".to_owned(),
        ParticipantEvent::SpoolExpired { recording, bytes } => {
            format!(
                "what was kept here of recording {} ({bytes} bytes) is too old or too much and goes now",
                recording.short()
            )
        }
        ParticipantEvent::HostUnreachable => "the host cannot be reached; what you say is kept here".to_owned(),
        ParticipantEvent::HostReachable => "the host can be reached again".to_owned(),
        ParticipantEvent::Left { reason, .. } => format!("you are out of the room ({reason})"),
        ParticipantEvent::Speaking { .. }
        | ParticipantEvent::State(_)
        | ParticipantEvent::RecordingsChanged { .. }
        | ParticipantEvent::Microphone { .. } => return None,
    })
}
