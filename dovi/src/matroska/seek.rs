//! Moving about in a file: for sampling and for what stands behind the clusters.
use std::io::{Read, Seek};

use super::{MatroskaError, MatroskaReader, cues, ids, reader::MAX_MASTER};

/// How far a search for the next cluster goes. Clusters written by mkvmerge hold at most five seconds.
const RESYNC_REACH: u64 = 96 << 20;

impl<R: Read + Seek> MatroskaReader<R> {
    /// Offsets of the clusters that the Cues name for `track`; empty if there are no readable Cues.
    pub fn cue_clusters(&mut self, track: u64) -> Vec<u64> {
        let named =
            self.seek_head.iter().find(|(id, _)| *id == ids::CUES).map(|(_, at)| at + self.segment_start);
        let Some(at) = self.cues_at.or(named) else { return Vec::new() };
        let mut payload = Vec::new();
        let loaded = self.load(at, ids::CUES, &mut payload);
        if loaded.is_err() {
            return Vec::new();
        }
        let start = self.segment_start;
        cues::cluster_positions(&payload, track).into_iter().map(|p| p.saturating_add(start)).collect()
    }

    fn load(&mut self, at: u64, id: u32, payload: &mut Vec<u8>) -> Result<(), MatroskaError> {
        self.jump(at)?;
        let element = self.input.element(self.segment_end.unwrap_or(u64::MAX))?;
        match element.size {
            Some(size) if element.id == id => self.input.payload("cues", size, MAX_MASTER, payload),
            _ => Err(MatroskaError::damaged(at, "seek head names another element")),
        }
    }

    /// Reads attachments, chapters and tags that the seek head names and that were not passed yet. What cannot be
    /// read is left out; a sequential read will name it. The reader has to be positioned afterwards.
    pub fn read_tail(&mut self) {
        for (id, at) in self.seek_head.clone() {
            let at = at.saturating_add(self.segment_start);
            if !matches!(id, ids::ATTACHMENTS | ids::CHAPTERS | ids::TAGS) || self.parsed.contains(&at) {
                continue;
            }
            if self.jump(at).is_err() {
                continue;
            }
            let element = self.input.element(self.segment_end.unwrap_or(u64::MAX));
            if let Ok(element) = element
                && element.id == id
            {
                drop(self.segment_child(element));
            }
        }
        self.cluster = None;
    }

    fn jump(&mut self, at: u64) -> Result<(), MatroskaError> {
        self.input.fits("seek target", at, at)?;
        self.cluster = None;
        self.laced.clear();
        self.input.seek_to(at)
    }

    /// Continues at the cluster at `offset`.
    ///
    /// # Errors
    /// If there is no cluster.
    pub fn seek_cluster(&mut self, offset: u64) -> Result<(), MatroskaError> {
        self.jump(offset)?;
        let element = self.input.element(self.segment_end.unwrap_or(u64::MAX))?;
        if element.id != ids::CLUSTER {
            return Err(MatroskaError::damaged(offset, "no cluster here"));
        }
        self.segment_child(element)
    }

    /// Offset of the first cluster.
    pub fn first_cluster(&self) -> Option<u64> {
        self.first_cluster
    }

    /// Searches the next cluster from `offset` on and continues there. For sampling only: what lies between is
    /// skipped unseen. False if there is none in reach.
    ///
    /// # Errors
    /// If reading fails.
    pub fn resync(&mut self, offset: u64) -> Result<bool, MatroskaError> {
        self.jump(offset)?;
        self.resyncs += 1;
        while self.input.find(ids::CLUSTER.to_be_bytes(), RESYNC_REACH)? {
            let at = self.input.pos();
            let limit = self.segment_end.unwrap_or(u64::MAX);
            let found = self.input.element(limit).and_then(|cluster| {
                let child = self.input.element(limit)?;
                Ok(ids::is_cluster_child(child.id) && cluster.end().is_none_or(|end| end <= limit))
            });
            match found {
                Ok(true) => return self.seek_cluster(at).map(|()| true),
                Ok(false) | Err(MatroskaError::Damaged { .. }) => self.jump(at + 4)?,
                Err(MatroskaError::Truncated { .. }) => return Ok(false),
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }
}
