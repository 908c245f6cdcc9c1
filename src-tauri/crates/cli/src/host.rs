//! `roomtone host`.

use roomtone_capture::MicrophoneSpec;
use roomtone_protocol::ErrorReport;
use roomtone_protocol::metadata::GapCause;
use roomtone_studio::{DataDir, Host, HostEvent, HostOptions, Participant, ParticipantOptions, WarningKind};

use crate::args::{Common, Host as Arguments};
use crate::output::Output;
use crate::settings;
use crate::signals::asked_to_end;

pub(crate) async fn run(common: &Common, arguments: Arguments, output: Output) -> Result<(), ErrorReport> {
    let settings = settings::of_host(common, &arguments)?;
    let data_dir = DataDir::open(common.data_dir.as_deref())?;
    let start = data_dir.start()?;
    let bitrate = settings.bitrate();
    let options = HostOptions { room: arguments.room, relay: arguments.relay, settings };
    let (host, mut events) = Host::start(&data_dir, &start, options).await?;
    let own = if arguments.mic == MicrophoneSpec::None {
        None
    } else {
        let options = ParticipantOptions { name: arguments.name, microphone: arguments.mic, bitrate, stay: true };
        let door = host.admit(options.role(), options.name.clone()).await?;
        Some(Participant::join_own(&data_dir, &start, door, options)?)
    };
    let (own, own_events) = own.unzip();
    if let Some(mut own_events) = own_events {
        // Their own microphone's events reach people as the room's events.
        tokio::spawn(async move { while own_events.recv().await.is_some() {} });
    }
    let asked = asked_to_end();
    tokio::pin!(asked);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    output.say(&event, text(&event).as_deref());
                    if event == HostEvent::RoomClosed {
                        break;
                    }
                }
                None => break,
            },
            () = &mut asked => break,
        }
    }
    let ending = async {
        // The recorder ends first: what runs is finalized with all that was said up to then, also here.
        host.shutdown(arguments.drain).await;
        if let Some(own) = own {
            own.leave().await;
        }
    };
    tokio::pin!(ending);
    loop {
        tokio::select! {
            event = events.recv() => if let Some(event) = event { output.say(&event, text(&event).as_deref()) },
            () = &mut ending => break,
        }
    }
    while let Ok(event) = events.try_recv() {
        output.say(&event, text(&event).as_deref());
    }
    Ok(())
}

/// What a person at a terminal reads of an event.
fn text(event: &HostEvent) -> Option<String> {
    let who = |person: &roomtone_studio::PersonLine| {
        person.name.clone().unwrap_or_else(|| format!("guest {}", person.participant.short()))
    };
    Some(match event {
        HostEvent::Ready { room, invite, host_invite, recovered, .. } => {
            let recovered = match recovered.len() {
                0 => String::new(),
                count => format!("\nfinishing {count} recording(s) of an earlier start"),
            };
            format!("room `{room}` is open\ninvite: {invite}\nfor the host only: {host_invite}{recovered}")
        }
        HostEvent::ParticipantJoined(person) => format!("{} joined", who(person)),
        HostEvent::ParticipantReturned(person) => format!("{} is back", who(person)),
        HostEvent::ParticipantAway(person) => format!("{} is away", who(person)),
        HostEvent::ParticipantLeft(person) => format!("{} left", who(person)),
        HostEvent::ParticipantRenamed(person) => format!("{} has a new name", who(person)),
        HostEvent::RecordingState(line) => {
            let failure = line.failure.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            let waiting = line.waiting.as_ref().map(|waiting| {
                let people: Vec<_> = waiting.people.iter().map(|participant| participant.short()).collect();
                format!(", waiting for what {} still hold, {} at most", people.join(", "), clock(waiting.left_ms))
            });
            let waiting = waiting.unwrap_or_default();
            format!("{} {} {}{waiting}{failure}", line.recording.short(), line.state, clock(line.elapsed_ms))
        }
        HostEvent::UploadProgress { recording, upload } => {
            let percent = upload.bytes.saturating_mul(100).checked_div(upload.total).unwrap_or(100);
            let rate = upload.rate.filter(|rate| *rate > 0).map(|rate| format!(" at {:.1} MB/s", rate as f64 / 1e6));
            let left = upload.left_ms.filter(|left| *left > 0).map(|left| format!(", {} left", clock(left)));
            let (rate, left) = (rate.unwrap_or_default(), left.unwrap_or_default());
            format!("{} uploading {percent} %{rate}{left}", recording.short())
        }
        HostEvent::UploadRetrying { recording, error } => {
            format!("{} is not in the bucket yet: {error}", recording.short())
        }
        HostEvent::RecordingCompleted { recording, path, key, gapless, .. } => {
            let verdict = if *gapless { "nothing is missing" } else { "something is missing; see its metadata" };
            format!("{} completed: {} and in the bucket as {key}; {verdict}", recording.short(), path.display())
        }
        HostEvent::Alarm { participant, active: true, message, .. } => {
            format!("the microphone of {}: {message}", participant.short())
        }
        HostEvent::Alarm { participant, .. } => format!("the microphone of {} is well again", participant.short()),
        HostEvent::Gap { participant, missing_ms: 0, .. } => {
            format!("everything that {} holds has arrived", participant.short())
        }
        HostEvent::Gap { participant, cause, missing_ms, .. } => {
            let why = match cause {
                GapCause::Network => "it is asked for until it is here",
                _ => "the microphone gave nothing",
            };
            format!("{} of what {} says is missing: {why}", clock(*missing_ms), participant.short())
        }
        HostEvent::RecordingWarning { recording, kind, left_ms } => {
            let why = match kind {
                WarningKind::TimeLimit => "its time limit",
                WarningKind::Disk => "this computer's disk, which fills up",
            };
            match left_ms {
                0 => format!("{} was ended by {why}; all that was recorded is kept", recording.short()),
                left => format!("{} will be ended by {why} in {}", recording.short(), clock(*left)),
            }
        }
        HostEvent::Problem { error } => format!("trouble: {error}"),
        HostEvent::RoomClosed => "the room is closed".to_owned(),
        HostEvent::RecordingsExpired { keys } => {
            format!("too old, and deleted from the bucket: {}", keys.join(", "))
        }
        HostEvent::RecordingsChanged => return None,
    })
}

/// `1:02:03`
fn clock(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!("{}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}
