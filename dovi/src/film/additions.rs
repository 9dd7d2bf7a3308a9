//! What is stored in BlockAdditions, beside the frames instead of in them.
use super::ScanError;
use crate::matroska::Track;

/// BlockAddIDType of an enhancement layer's decoder configuration: `hvcE`, `avcE`.
const EL_TYPES: [u64; 2] = [0x6876_6345, 0x6176_6345];

/// Whether Dolby Vision data lies in BlockAdditions: a note if it is not needed, since the frames have RPUs.
///
/// # Errors
/// [`ScanError::ElElsewhere`] if it would be needed.
pub(crate) fn elsewhere(
    track: &Track,
    rpus: u64,
    el_bytes: u64,
    (blocks, bytes): (u64, u64),
) -> Result<Option<String>, ScanError> {
    let declared = track.addition_types.iter().any(|t| EL_TYPES.contains(t));
    let claimed = track.dovi.is_some_and(|d| d.profile == 7);
    if blocks == 0 || !declared && !claimed {
        return Ok(None);
    }
    let kinds: Vec<String> = track.addition_types.iter().map(|t| four_characters(*t)).collect();
    let kind = if kinds.is_empty() { "of undeclared type".to_owned() } else { kinds.join(", ") };
    if rpus == 0 {
        return Err(ScanError::ElElsewhere { track: track.number, kind, blocks, bytes });
    }
    Ok((el_bytes == 0).then(|| {
        format!(
            "{blocks} blocks have additions ({kind}, {bytes} bytes): an enhancement layer that is not needed"
        )
    }))
}

/// `0x68766345` is `hvcE`; small numbers stay numbers.
fn four_characters(kind: u64) -> String {
    match u32::try_from(kind).map(u32::to_be_bytes) {
        Ok(bytes) if bytes.iter().all(u8::is_ascii_graphic) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => kind.to_string(),
    }
}
