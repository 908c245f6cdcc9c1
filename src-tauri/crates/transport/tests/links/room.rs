//! A real relay with one room, for tests.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use roomtone_protocol::signal::RoomCreated;
use roomtone_protocol::state::Role;
use roomtone_protocol::{Identity, Invite, Secret, WakeEpoch};
use roomtone_relay::{Limits, Relay, RelayConfig};
use roomtone_transport::{
    Link, LinkEvent, ParticipantConfig, ParticipantEndpoint, ParticipantEvent, ParticipantLink, RecorderConfig,
    RecorderEndpoint, RecorderEvent, RecorderLink, create_room,
};
use tokio::sync::mpsc::Receiver;

/// Nothing here takes this long unless something is wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) struct Room {
    relay: Option<Relay>,
    address: SocketAddr,
    pub(crate) created: RoomCreated,
    pub(crate) identity: Identity,
    pub(crate) invite: Invite,
}

async fn relay(listen: SocketAddr) -> Relay {
    let config = RelayConfig { listen, public_url: None, secret: [9; 32], files: None, limits: Limits::default() };
    Relay::start(config).await.expect("a relay starts on a free port")
}

impl Room {
    pub(crate) async fn open() -> Self {
        let relay = relay(SocketAddr::new(LOOPBACK, 0)).await;
        let identity = Identity::from_seed([100; 32]);
        let created = create_room(relay.url(), identity.public_key()).await.expect("a room");
        let invite = Invite {
            relay: relay.url().to_owned(),
            room: created.room,
            recorder: identity.public_key().hash(),
            secret: Secret::from_bytes([1; 16]),
            host_secret: None,
        };
        Self { address: relay.local_addr(), relay: Some(relay), created, identity, invite }
    }

    pub(crate) async fn stop_relay(&mut self) {
        self.relay.take().expect("it runs").shutdown().await;
    }

    pub(crate) async fn start_relay(&mut self) {
        self.relay = Some(relay(self.address).await);
    }

    pub(crate) fn recorder_config(&self, epoch: u32) -> RecorderConfig {
        RecorderConfig {
            relay: self.invite.relay.clone(),
            room: self.created.room,
            host_token: self.created.host_token.clone(),
            identity: self.identity.clone(),
            epoch,
            secret: self.invite.secret.clone(),
            host_secret: Secret::from_bytes([2; 16]),
            media_addrs: vec![LOOPBACK],
        }
    }

    pub(crate) async fn recorder(&self, epoch: u32) -> (RecorderEndpoint, Receiver<RecorderEvent>) {
        RecorderEndpoint::start(self.recorder_config(epoch)).await.expect("the recorder enters")
    }

    pub(crate) fn participant_config(&self, seed: u8) -> ParticipantConfig {
        ParticipantConfig {
            invite: self.invite.clone(),
            identity: Identity::from_seed([seed; 32]),
            epoch: WakeEpoch(1),
            role: Role::Participant,
            passing: false,
            name: Some(format!("Guest {seed}")),
            media_addrs: vec![LOOPBACK],
        }
    }

    pub(crate) async fn participant(&self, seed: u8) -> (ParticipantEndpoint, Receiver<ParticipantEvent>) {
        ParticipantEndpoint::start(self.participant_config(seed)).await.expect("the participant enters")
    }
}

/// The first event that `pick` takes.
pub(crate) async fn pick<E: std::fmt::Debug, T>(events: &mut Receiver<E>, mut pick: impl FnMut(E) -> Option<T>) -> T {
    let found = async {
        loop {
            let event = events.recv().await.expect("the endpoint goes on");
            if let Some(found) = pick(event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("the event comes")
}

pub(crate) async fn recorder_link(events: &mut Receiver<RecorderEvent>) -> RecorderLink {
    pick(events, |event| if let RecorderEvent::Link(link) = event { Some(link) } else { None }).await
}

pub(crate) async fn participant_link(events: &mut Receiver<ParticipantEvent>) -> ParticipantLink {
    pick(events, |event| if let ParticipantEvent::Link(link) = event { Some(link) } else { None }).await
}

pub(crate) async fn refusal(events: &mut Receiver<ParticipantEvent>) -> String {
    pick(events, |event| match event {
        ParticipantEvent::Refused(error) => Some(error.code),
        ParticipantEvent::Link(_) => panic!("a link where a refusal belongs"),
        _ => None,
    })
    .await
}

pub(crate) async fn closed<Out, In: std::fmt::Debug>(link: &mut Link<Out, In>) {
    pick(&mut link.events, |event| matches!(event, LinkEvent::Closed).then_some(())).await;
}
