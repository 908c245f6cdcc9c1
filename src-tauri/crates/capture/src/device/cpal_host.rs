//! Sound systems as cpal has them: PulseAudio (and PipeWire behind the same protocol) on Linux, native ones elsewhere.

use cpal::traits::{DeviceTrait, HostTrait};
use cpal::{ErrorKind, SupportedStreamConfig};

use super::{AudioHost, DeviceChoice, DeviceIdentity, MicrophoneListing, OpenDevice, OpenStream};
use crate::CaptureError;
use crate::feed::{ErrorLatch, Feeder, feed};

/// cpal's host, connected when first needed and again after a failure.
#[derive(Default)]
pub(crate) struct CpalHost {
    host: Option<cpal::Host>,
}

impl CpalHost {
    fn host(&mut self) -> Result<&cpal::Host, CaptureError> {
        let host = match self.host.take() {
            Some(host) => host,
            None => connect()?,
        };
        Ok(self.host.insert(host))
    }

    pub(crate) fn list(&mut self) -> Result<Vec<MicrophoneListing>, CaptureError> {
        let host = self.host()?;
        let default = host.default_input_device().and_then(|device| device.id().ok());
        let devices = host.input_devices().map_err(sound_system)?;
        Ok(devices
            .map(|device| {
                let id = device.id().ok();
                let default = id.is_some() && id == default;
                MicrophoneListing { name: name(&device), id: id_text(&device), default }
            })
            .collect())
    }

    fn find(&mut self, choice: &DeviceChoice, any: bool) -> Result<(cpal::Device, Option<String>), CaptureError> {
        let host = self.host()?;
        let wanted = match choice {
            DeviceChoice::Default => None,
            DeviceChoice::Named(wanted) => {
                let mut devices = host.input_devices().map_err(sound_system)?;
                let found = devices.find(|device| name(device) == *wanted || id_text(device) == *wanted);
                match found {
                    Some(device) => return Ok((device, None)),
                    None => Some(wanted.clone()),
                }
            }
        };
        let default = host.default_input_device();
        match (wanted, default) {
            (Some(name), _) if !any => {
                let listed = self.list()?;
                // What two have in common tells them not apart: their ids do.
                let twice = |name: &str| listed.iter().filter(|listed| listed.name == name).count() > 1;
                let text = |one: &MicrophoneListing| if twice(&one.name) { one.id.clone() } else { one.name.clone() };
                let available = listed.iter().map(text).collect();
                Err(CaptureError::UnknownDevice { name, available })
            }
            (wanted, Some(device)) => Ok((device, wanted)),
            (_, None) => Err(CaptureError::NoDefault),
        }
    }
}

impl AudioHost for CpalHost {
    fn identify(&mut self, choice: &DeviceChoice, any: bool) -> Result<DeviceIdentity, CaptureError> {
        let identified = self.try_identify(choice, any);
        if identified.is_err() {
            self.host = None;
        }
        identified
    }

    fn open(&mut self, choice: &DeviceChoice, any: bool) -> Result<OpenDevice, CaptureError> {
        let opened = self.try_open(choice, any);
        // The connection may be what failed: the next question goes over a fresh one.
        if opened.is_err() {
            self.host = None;
        }
        opened
    }
}

impl CpalHost {
    fn try_identify(&mut self, choice: &DeviceChoice, any: bool) -> Result<DeviceIdentity, CaptureError> {
        let (device, instead_of) = self.find(choice, any)?;
        let config = device.default_input_config().map_err(device_error)?;
        Ok(identity(&device, &config, instead_of))
    }

    fn try_open(&mut self, choice: &DeviceChoice, any: bool) -> Result<OpenDevice, CaptureError> {
        let (device, instead_of) = self.find(choice, any)?;
        // The device's current rate and channels: on macOS asking for others changes them for the person's call too.
        let config = device.default_input_config().map_err(device_error)?;
        let identity = identity(&device, &config, instead_of);
        let (feeder, intake) = feed(identity.rate);
        let failure = ErrorLatch::default();
        let stream = open_stream(&device, &identity, &config, feeder, &failure)?;
        let hides_denial = cfg!(target_os = "macos");
        Ok(OpenDevice { identity, intake, failure, hides_denial, _stream: OpenStream::new(stream) })
    }
}

/// On Linux a stream is opened without cpal, which would let the server keep no more for a client that is late than one
/// call's worth.
#[cfg(target_os = "linux")]
fn open_stream(
    _: &cpal::Device,
    identity: &DeviceIdentity,
    _: &SupportedStreamConfig,
    feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<super::pulse_stream::PulseStream, CaptureError> {
    super::pulse_stream::PulseStream::open(&identity.id, feeder, failure)
}

#[cfg(not(target_os = "linux"))]
fn open_stream(
    device: &cpal::Device,
    _: &DeviceIdentity,
    config: &SupportedStreamConfig,
    feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<cpal::Stream, CaptureError> {
    super::cpal_stream::open(device, config, feeder, failure).map_err(device_error)
}

#[cfg(target_os = "linux")]
fn connect() -> Result<cpal::Host, CaptureError> {
    cpal::host_from_id(cpal::HostId::PulseAudio).map_err(sound_system)
}

#[cfg(not(target_os = "linux"))]
fn connect() -> Result<cpal::Host, CaptureError> {
    Ok(cpal::default_host())
}

fn name(device: &cpal::Device) -> String {
    device.description().map_or_else(|_| id_text(device), |description| description.name().to_owned())
}

fn id_text(device: &cpal::Device) -> String {
    device.id().map(|id| id.id().to_owned()).unwrap_or_default()
}

fn identity(device: &cpal::Device, config: &SupportedStreamConfig, instead_of: Option<String>) -> DeviceIdentity {
    let (rate, channels) = (config.sample_rate(), config.channels());
    DeviceIdentity { id: id_text(device), name: name(device), rate, channels, instead_of }
}

fn sound_system(error: cpal::Error) -> CaptureError {
    CaptureError::SoundSystem { reason: error.to_string() }
}

pub(super) fn device_error(error: cpal::Error) -> CaptureError {
    let reason = error.to_string();
    // Windows' privacy setting arrives as a plain HRESULT, E_ACCESSDENIED.
    let denied = error.kind() == ErrorKind::PermissionDenied || reason.contains("80070005");
    match error.kind() {
        _ if denied => CaptureError::Denied { reason },
        ErrorKind::HostUnavailable => CaptureError::SoundSystem { reason },
        _ => CaptureError::Device { reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_privacy_setting_is_told_apart_from_other_failures() {
        // As Windows words it, in the hexadecimal of the HRESULT.
        for text in ["Access is denied. (0x80070005)", "os error: 0x80070005"] {
            let error = device_error(cpal::Error::with_message(ErrorKind::BackendError, text.to_owned()));
            assert!(matches!(error, CaptureError::Denied { .. }), "{error}");
            assert!(error.hint().contains("privacy settings"));
        }
        let error = device_error(cpal::Error::with_message(ErrorKind::PermissionDenied, "no".to_owned()));
        assert!(matches!(error, CaptureError::Denied { .. }));
        let error = device_error(cpal::Error::with_message(ErrorKind::BackendError, "0x88890004".to_owned()));
        assert!(matches!(error, CaptureError::Device { .. }));
    }
}
