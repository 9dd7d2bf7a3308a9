//! SeekHead and Cues: where things are, as far as the file says.
use super::{
    ebml::{Elements, uint},
    ids,
};

/// (element id, offset from the start of the segment payload)
pub(crate) fn seek_head(payload: &[u8]) -> Vec<(u32, u64)> {
    let mut entries = Vec::new();
    for (_, seek) in Elements::new(payload).filter(|(id, _)| *id == ids::SEEK) {
        let (mut target, mut position) = (None, None);
        for (id, data) in Elements::new(seek) {
            match id {
                ids::SEEK_ID => target = uint(data).and_then(|v| u32::try_from(v).ok()),
                ids::SEEK_POSITION => position = uint(data),
                _ => {}
            }
        }
        entries.extend(target.zip(position));
    }
    entries
}

/// Cluster positions of one track, relative to the segment payload, in file order of the cues.
pub(crate) fn cluster_positions(payload: &[u8], track: u64) -> Vec<u64> {
    let mut positions = Vec::new();
    for (_, point) in Elements::new(payload).filter(|(id, _)| *id == ids::CUE_POINT) {
        for (_, place) in Elements::new(point).filter(|(id, _)| *id == ids::CUE_TRACK_POSITIONS) {
            let (mut number, mut cluster) = (None, None);
            for (id, data) in Elements::new(place) {
                match id {
                    ids::CUE_TRACK => number = uint(data),
                    ids::CUE_CLUSTER_POSITION => cluster = uint(data),
                    _ => {}
                }
            }
            if number == Some(track) {
                positions.extend(cluster);
            }
        }
    }
    positions
}
