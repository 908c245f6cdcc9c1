//! A stream as cpal opens it.

use std::sync::Arc;
use std::time::Duration;

use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{BufferSize, ErrorKind, FromSample, SampleFormat, SizedSample, StreamConfig, SupportedStreamConfig};

use super::cpal_host::device_error;
use crate::feed::{ErrorLatch, Feeder};

/// How long a stream may take to be built, where the backend has a say in it.
const BUILD_PATIENCE: Duration = Duration::from_secs(5);

/// Opens and starts a stream of the device's own rate, format and number of channels.
pub(super) fn open(
    device: &cpal::Device,
    config: &SupportedStreamConfig,
    feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<cpal::Stream, cpal::Error> {
    let stream = build(device, config, feeder, failure)?;
    stream.play()?;
    Ok(stream)
}

fn build(
    device: &cpal::Device,
    supported: &SupportedStreamConfig,
    feeder: Feeder,
    failure: &ErrorLatch,
) -> Result<cpal::Stream, cpal::Error> {
    let mut config = supported.config();
    config.buffer_size = BufferSize::Default;
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
