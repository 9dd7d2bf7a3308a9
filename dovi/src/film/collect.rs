//! Collects the RPUs of one track, frame by frame in decode order.
use super::{FrameLevels, RpuHash, RpuTable, ScanError, au::Au, fold::Fold, rpus::Slot};
use crate::rpu::{self, RpuInfo};

/// What is kept of a frame's RPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) slot: Slot,
    pub(crate) levels: FrameLevels,
}

#[derive(Debug, Default)]
pub(crate) struct Collector {
    convert: bool,
    pub(crate) table: RpuTable,
    pub(crate) fold: Fold,
    /// The last NAL and what came of it: within a shot many RPUs are equal.
    last: Option<(Vec<u8>, RpuInfo, Slot)>,
    pub(crate) rpus: u64,
    pub(crate) duplicate: u64,
    pub(crate) not_last: u64,
    pub(crate) el_nals: u64,
    pub(crate) el_bytes: u64,
}

impl Collector {
    pub(crate) fn new(convert: bool) -> Self {
        Self { convert, ..Self::default() }
    }

    pub(crate) fn take(&mut self, au: &Au<'_>, frame: u64, offset: u64) -> Result<Option<Found>, ScanError> {
        self.el_nals += au.el_nals;
        self.el_bytes += au.el_bytes;
        let Some(nal) = au.rpu else { return Ok(None) };
        if au.rpu_differs {
            return Err(ScanError::RpuDuplicate { frame, offset });
        }
        self.rpus += 1;
        self.duplicate += u64::from(au.rpus > 1);
        self.not_last += u64::from(!au.rpu_last);
        match &self.last {
            Some((bytes, _, _)) if bytes == nal => {}
            _ => {
                let (info, p81) = rpu::describe(nal, self.convert)
                    .map_err(|source| ScanError::RpuInvalid { frame, offset, source })?;
                let raw = RpuHash::of(nal);
                let p81 = p81.map(|p81| self.table.store(&p81)).or_else(|| {
                    // Without conversion a profile 8 NAL still has a comparable fingerprint.
                    (info.profile == 8).then(|| RpuTable::fingerprint_only(raw))
                });
                self.last = Some((nal.to_vec(), info, Slot { raw, p81 }));
            }
        }
        let Some((_, info, slot)) = &self.last else { return Ok(None) };
        self.fold.add(info, nal.len());
        Ok(Some(Found { slot: *slot, levels: info.into() }))
    }
}
