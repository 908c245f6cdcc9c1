//! Sound systems as cpal has them: PulseAudio (and PipeWire behind the same protocol) on Linux, native ones elsewhere.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedStreamConfig};

use super::{AudioHost, DeviceChoice, DeviceIdentity, MicrophoneListing, OpenDevice, OpenStream};
use crate::CaptureError;
use crate::feed::{ErrorLatch, Feeder, feed};

/// How long a stream may take to be built, where the backend has a say in it.
const BUILD_PATIENCE: Duration = Duration::from_secs(5);

/// PulseAudio's own default is a callback every two seconds: too rare for a level meter. What is asked for is also what
/// the server holds for a client that is late, so 20 ms lose sound on a busy machine; 80 ms is under cpal's limit of
/// 100 ms beyond which its latencies are wrong.
const PULSE_CALLBACK_MS: u32 = 80;

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
        let stream = build(&device, &config, feeder, &failure).map_err(device_error)?;
        stream.play().map_err(device_error)?;
        Ok(OpenDevice { identity, intake, failure, _stream: OpenStream::new(stream) })
    }
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

fn build(
    device: &cpal::Device,
    supported: &SupportedStreamConfig,
    feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<cpal::Stream, cpal::Error> {
    let mut config = supported.config();
    config.buffer_size = if cfg!(target_os = "linux") {
        BufferSize::Fixed(config.sample_rate / 1_000 * PULSE_CALLBACK_MS)
    } else {
        BufferSize::Default
    };
    match supported.sample_format() {
        SampleFormat::I8 => build_as::<i8>(device, config, feeder, failure),
        SampleFormat::I16 => build_as::<i16>(device, config, feeder, failure),
        SampleFormat::I24 => build_as::<cpal::I24>(device, config, feeder, failure),
        SampleFormat::I32 => build_as::<i32>(device, config, feeder, failure),
        SampleFormat::I64 => build_as::<i64>(device, config, feeder, failure),
        SampleFormat::U8 => build_as::<u8>(device, config, feeder, failure),
        SampleFormat::U16 => build_as::<u16>(device, config, feeder, failure),
        SampleFormat::U24 => build_as::<cpal::U24>(device, config, feeder, failure),
        SampleFormat::U32 => build_as::<u32>(device, config, feeder, failure),
        SampleFormat::U64 => build_as::<u64>(device, config, feeder, failure),
        SampleFormat::F32 => build_as::<f32>(device, config, feeder, failure),
        SampleFormat::F64 => build_as::<f64>(device, config, feeder, failure),
        other => Err(cpal::Error::with_message(ErrorKind::UnsupportedConfig, format!("samples of format {other}"))),
    }
}

fn build_as<T>(
    device: &cpal::Device,
    config: StreamConfig,
    mut feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<cpal::Stream, cpal::Error>
where
    T: SizedSample,
    f32: FromSample<T>,
{
    let channels = config.channels;
    let failure = Arc::clone(failure);
    device.build_input_stream::<T, _, _>(
        config,
        move |data, info| {
            let at = roomtone_clock::now();
            let stamp = info.timestamp();
            let latency = stamp.callback.duration_since(stamp.capture);
            feeder.push(data, channels, at, i64::try_from(latency.as_nanos()).unwrap_or(0));
        },
        move |error| {
            // Neither ends a stream, and a lost frame shows in the count of frames.
            let harmless = matches!(error.kind(), ErrorKind::Xrun | ErrorKind::RealtimeDenied);
            if !harmless && failure.get().is_none() {
                // Of two at the same time one is enough.
                failure.set(device_error(error)).unwrap_or_default();
            }
        },
        Some(BUILD_PATIENCE),
    )
}

fn sound_system(error: cpal::Error) -> CaptureError {
    CaptureError::SoundSystem { reason: error.to_string() }
}

fn device_error(error: cpal::Error) -> CaptureError {
    let reason = error.to_string();
    // Windows' privacy setting arrives as a plain HRESULT, E_ACCESSDENIED.
    let denied = error.kind() == ErrorKind::PermissionDenied || reason.contains("80070005");
    match error.kind() {
        _ if denied => CaptureError::Denied { reason },
        ErrorKind::HostUnavailable => CaptureError::SoundSystem { reason },
        _ => CaptureError::Device { reason },
    }
}
