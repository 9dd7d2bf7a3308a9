//! ffmpeg: decoding, encoding, and what this machine's build of it can do.

mod capabilities;
mod decode;
mod demux;
mod encode;
mod frames;
mod input;
mod options;
mod progress;

pub use capabilities::{
    Capabilities, EncoderOptions, encoder_help, encoders, full_help, metadata_help, version,
};
pub use decode::{DecodeArgs, is_complaint};
pub use demux::DemuxArgs;
pub use encode::{EncodeArgs, Nvenc, Qsv, Unsupported, Vaapi, VideoEncoder, X265};
pub use frames::{FRAME_BYTES, FrameArgs, FramesError, HEIGHT, SmallFrame, WIDTH, read_frames};
pub use input::Input;
pub use options::OptionList;
pub use progress::{ProgressParser, Update};
