//! An RPU that changes nothing, for streams that have none of their own.

use dolby_vision::rpu::{dovi_rpu::DoviRpu, generate::GenerateConfig};

use super::RpuError;

/// A complete NAL 62 of profile 8.1 (header, escaped, no start code) whose mapping is the identity: for test encodes.
///
/// # Errors
/// [`RpuError::Write`] if the `dolby_vision` crate cannot write its own defaults.
pub fn neutral_p81() -> Result<Vec<u8>, RpuError> {
    let write = || DoviRpu::profile81_config(&GenerateConfig::default())?.write_hevc_unspec62_nalu();
    write().map_err(|e| RpuError::Write(format!("{e:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpu::{describe, parse};

    #[test]
    fn it_is_of_profile_8_and_maps_every_value_to_itself() {
        let nal = neutral_p81().unwrap();
        assert_eq!(&nal[..2], &[0x7c, 0x01]);
        assert_eq!(parse(&nal).unwrap().dovi_profile, 8);
        let (info, same) = describe(&nal, true).unwrap();
        assert!(info.identity_mapping());
        assert_eq!(same.unwrap(), nal);
    }
}
