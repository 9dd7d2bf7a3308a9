//! One-pass injection: encoder output in, the same stream with one RPU per access unit out.
//!
//! Each RPU is chosen by the display index of its picture, never by counting. Memory is a few access units.
//! Everything that does not add up is an error; nothing is repeated, dropped or cut to make counts agree.

use std::collections::VecDeque;
use std::io::{self, BufWriter, Read, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::annexb::{find_start_code, write_nal};
use crate::au::{AccessUnit, AuError, AuReader};
use crate::expect::{StreamExpectation, StreamMismatch};
use crate::hash::{VclHash, VclHasher};
use crate::nal::{NalHeader, NalType};
use crate::order::{DisplayOrder, Method, OrderError, Placed};
use crate::params::Sps;
use crate::sei::{self, Cll, Mdcv, SeiNal};

/// Most bytes of access units held while their order is not known.
const MAX_HELD_BYTES: usize = 512 << 20;

/// RPUs by display index.
pub trait RpuByDisplay {
    /// The complete RPU NAL of a frame: from its header `7C 01` on, escaped, without start code.
    fn rpu(&self, display: u64) -> Option<&[u8]>;
}

/// Additional prefix SEI by display index (HDR10+).
pub trait SeiByDisplay {
    /// The complete prefix SEI NAL of a frame, escaped, without start code; `None` for a frame without.
    /// [`sei::hdr10plus_nal`] makes one from a payload.
    fn sei(&self, display: u64) -> Option<&[u8]>;
}

impl RpuByDisplay for Vec<Vec<u8>> {
    fn rpu(&self, display: u64) -> Option<&[u8]> {
        self.get(usize::try_from(display).ok()?).map(Vec::as_slice)
    }
}

impl SeiByDisplay for Vec<Option<Vec<u8>>> {
    fn sei(&self, display: u64) -> Option<&[u8]> {
        self.get(usize::try_from(display).ok()?)?.as_deref()
    }
}

/// What to inject.
#[derive(Clone, Copy)]
pub struct InjectPlan<'a> {
    /// The RPU of every frame.
    pub rpus: &'a dyn RpuByDisplay,
    /// Frames the stream must have, exactly.
    pub frames: u64,
    /// Mastering display that every IRAP must carry. `None` leaves the encoder's own alone.
    pub mdcv: Option<Mdcv>,
    /// Content light level that every IRAP must carry. `None` leaves the encoder's own alone, but for zeros, which mean
    /// that nobody knows: x265 writes such a message beside every mastering display (measured).
    pub cll: Option<Cll>,
    /// HDR10+ by frame. A frame for which the encoder wrote its own keeps that.
    pub hdr10plus: Option<&'a dyn SeiByDisplay>,
    /// What the stream must be; checked at the first picture and whenever the SPS changes.
    pub expect: StreamExpectation,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InjectReport {
    /// Access units written.
    pub frames: u64,
    /// RPUs written; equal to `frames`.
    pub rpus_written: u64,
    /// NAL units 62 and 63 of the encoder, and those of other layers, that were left out.
    pub dropped_foreign_nals: u64,
    /// Mastering display and light level SEI that were added.
    pub sei_inserted: u64,
    /// Mastering display and light level messages of the encoder with other values, which were left out.
    pub sei_replaced: u64,
    /// HDR10+ SEI that were added.
    pub hdr10plus_inserted: u64,
    /// Most access units held at once.
    pub max_held_aus: usize,
    /// Bytes written.
    pub bytes: u64,
    /// Hash of all slices written.
    pub vcl: VclHash,
    /// How display order was found.
    pub reordered_by: Method,
}

/// Why injection stopped. Whatever was written until then is to be thrown away.
#[derive(Debug, Error)]
pub enum InjectError {
    /// The encoded stream is damaged or could not be read.
    #[error("encoded stream: {0}")]
    Input(#[from] AuError),
    /// The output could not be written.
    #[error("writing the injected stream: {0}")]
    Output(#[source] io::Error),
    /// Pictures have no provable display order.
    #[error("frame order: {0}")]
    Order(#[from] OrderError),
    /// Size, depth or colour tags are not what was ordered.
    #[error("encoded stream is not what was asked for: {0}")]
    Stream(#[from] StreamMismatch),
    /// The encoder produced another number of frames.
    #[error("the encoder produced {encoded} frames, {planned} were planned")]
    FrameCount {
        /// Frames in the plan.
        planned: u64,
        /// Access units in the encoded stream.
        encoded: u64,
    },
    /// A NAL unit of a type that belongs behind its picture stands before it (H.265 7.4.2.4.4).
    #[error("encoded stream: frame {frame} has a NAL unit of type {ty} before its first slice")]
    Misplaced {
        /// Display index.
        frame: u64,
        /// Type of the NAL unit.
        ty: u8,
    },
    /// The plan has no RPU for a frame.
    #[error("no RPU for frame {0}")]
    RpuMissing(u64),
    /// The plan's RPU for a frame is not a NAL unit 62, or would break the byte stream.
    #[error("the RPU of frame {0} is not a well-formed NAL unit 62")]
    RpuInvalid(u64),
    /// The plan's SEI for a frame is not a prefix SEI NAL, or would break the byte stream.
    #[error("the SEI of frame {0} is not a well-formed prefix SEI NAL unit")]
    SeiInvalid(u64),
    /// The display order stays unknown for too many bytes.
    #[error("{0} bytes of access units have no display index yet")]
    TooMuchHeld(usize),
}

impl InjectError {
    /// The failure code this belongs to.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Order(_) | Self::TooMuchHeld(_) => "align.order",
            Self::FrameCount { .. } => "encode.frames",
            Self::Input(_) | Self::Stream(_) | Self::Misplaced { .. } => "encode.stream",
            Self::RpuMissing(_) => "rpu.missing",
            Self::RpuInvalid(_) | Self::SeiInvalid(_) => "rpu.invalid",
            Self::Output(error) => match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk.full",
                _ => "share.io",
            },
        }
    }
}

/// Reads the encoder's Annex B stream to its end and writes it with everything the plan asks for. `progress` is
/// told the number of frames written after each.
///
/// # Errors
/// See [`InjectError`]; the output is incomplete or wrong then.
pub fn inject<R: Read, W: Write>(
    encoded: R,
    out: W,
    plan: &InjectPlan<'_>,
    progress: &mut dyn FnMut(u64),
) -> Result<InjectReport, InjectError> {
    let mut reader = AuReader::new(encoded);
    let mut injector = Injector::new(out, plan);
    let mut held: VecDeque<AccessUnit> = VecDeque::new();
    let mut held_bytes = 0;
    let mut max_held = 0;
    let mut order = DisplayOrder::new();
    let mut placed = Vec::new();
    let mut checked: Option<Arc<Sps>> = None;
    let mut encoded_frames = 0u64;
    loop {
        let unit = reader.next_au()?;
        match &unit {
            Some(unit) => {
                if checked.as_ref() != Some(&unit.sps) {
                    plan.expect.check(&unit.sps)?;
                    checked = Some(Arc::clone(&unit.sps));
                }
                order.push(&unit.picture, &mut placed)?;
            }
            None => order.finish(&mut placed)?,
        }
        let last = unit.is_none();
        if let Some(unit) = unit {
            encoded_frames += 1;
            held_bytes += unit.bytes().len();
            held.push_back(unit);
        }
        max_held = max_held.max(held.len());
        // Places come in decode order, as the units do.
        for Placed { display_index, .. } in placed.drain(..) {
            let Some(unit) = held.pop_front() else { break };
            held_bytes -= unit.bytes().len();
            // Surplus frames are read on and counted, so that the error can name both counts.
            if display_index < plan.frames {
                injector.write(&unit, display_index)?;
                progress(injector.frames);
            }
            reader.recycle(unit);
        }
        if held_bytes > MAX_HELD_BYTES {
            return Err(InjectError::TooMuchHeld(held_bytes));
        }
        if last {
            break;
        }
    }
    if encoded_frames != plan.frames {
        return Err(InjectError::FrameCount { planned: plan.frames, encoded: encoded_frames });
    }
    let mut report = injector.finish()?;
    report.max_held_aus = max_held;
    report.reordered_by = order.method();
    Ok(report)
}

struct Injector<'a, W: Write> {
    out: Counted<BufWriter<W>>,
    plan: &'a InjectPlan<'a>,
    vcl: VclHasher,
    frames: u64,
    dropped: u64,
    inserted: u64,
    replaced: u64,
    hdr10plus: u64,
}

/// What the SEI of an access unit say, and which of its NALs have to be written differently.
#[derive(Default)]
struct Seen {
    mdcv: bool,
    cll: bool,
    hdr10plus: bool,
    /// NAL index, and what stands in its place (nothing if empty).
    changed: Vec<(usize, Vec<u8>)>,
}

impl<'a, W: Write> Injector<'a, W> {
    fn new(out: W, plan: &'a InjectPlan<'a>) -> Self {
        let out = Counted { out: BufWriter::with_capacity(1 << 18, out), bytes: 0 };
        Self {
            out,
            plan,
            vcl: VclHasher::new(),
            frames: 0,
            dropped: 0,
            inserted: 0,
            replaced: 0,
            hdr10plus: 0,
        }
    }

    fn write(&mut self, unit: &AccessUnit, display: u64) -> Result<(), InjectError> {
        let plan = self.plan;
        let rpu = plan.rpus.rpu(display).ok_or(InjectError::RpuMissing(display))?;
        if !well_formed(rpu, NalType::RPU) {
            return Err(InjectError::RpuInvalid(display));
        }
        let dynamic = plan.hdr10plus.and_then(|all| all.sei(display));
        if dynamic.is_some_and(|nal| !well_formed(nal, NalType::PREFIX_SEI)) {
            return Err(InjectError::SeiInvalid(display));
        }
        let seen = self.look_at_sei(unit, dynamic.is_some());
        let is_base_vcl = |header: NalHeader| header.ty.is_vcl() && header.layer_id == 0;
        let ranges = unit.ranges();
        let slice = ranges.iter().position(|nal| is_base_vcl(nal.header)).unwrap_or(0);
        // The RPU is last, but nothing of a picture may follow an end of sequence.
        let end =
            ranges.iter().skip(slice).position(|nal| matches!(nal.header.ty, NalType::EOS | NalType::EOB));
        let rpu_at = end.map_or(ranges.len(), |after| slice + after);

        let mut run = 0..0;
        for (index, nal) in ranges.iter().enumerate() {
            let whole = nal.range.start - 4..nal.range.end;
            if index == slice || index == rpu_at {
                self.flush(unit, &mut run, whole.start)?;
            }
            if index == slice {
                self.insert_sei(unit, &seen, dynamic)?;
            }
            if index == rpu_at {
                self.put(rpu)?;
            }
            let changed = seen.changed.iter().find(|(changed, _)| *changed == index);
            // A decoder of the base layer ignores other layers; behind a left-out SEI they would change access unit.
            let foreign = matches!(nal.header.ty, NalType::RPU | NalType::EL) || nal.header.layer_id != 0;
            if index < slice && !foreign && !nal.header.ty.starts_access_unit() {
                return Err(InjectError::Misplaced { frame: display, ty: nal.header.ty.0 });
            }
            if foreign || changed.is_some() {
                self.flush(unit, &mut run, whole.end)?;
                self.dropped += u64::from(foreign);
                if let Some((_, other)) = changed.filter(|(_, other)| !other.is_empty()) {
                    self.put(other)?;
                }
                continue;
            }
            if is_base_vcl(nal.header) {
                self.vcl.update_vcl(&unit.bytes()[nal.range.clone()]);
            }
            run.end = whole.end;
        }
        self.flush(unit, &mut run, unit.bytes().len())?;
        if rpu_at == ranges.len() {
            self.put(rpu)?;
        }
        self.frames += 1;
        Ok(())
    }

    /// Writes the run of untouched NALs with their start codes, and begins the next one at `next`.
    fn flush(
        &mut self,
        unit: &AccessUnit,
        run: &mut std::ops::Range<usize>,
        next: usize,
    ) -> Result<(), InjectError> {
        if run.end > run.start {
            self.out.write_all(&unit.bytes()[run.clone()]).map_err(InjectError::Output)?;
        }
        *run = next..next;
        Ok(())
    }

    fn put(&mut self, nal: &[u8]) -> Result<(), InjectError> {
        write_nal(&mut self.out, nal).map_err(InjectError::Output)
    }

    /// Reads the prefix SEI where something depends on it: at every IRAP, and before an HDR10+ insertion.
    fn look_at_sei(&mut self, unit: &AccessUnit, dynamic: bool) -> Seen {
        let mut seen = Seen::default();
        let irap = unit.picture.nal_type.is_irap();
        if !irap && !dynamic {
            return seen;
        }
        let mdcv = self.plan.mdcv.as_ref().filter(|_| irap).map(Mdcv::to_payload);
        let cll = self.plan.cll.as_ref().filter(|_| irap).map(Cll::to_payload);
        for (index, (header, nal)) in unit.nals().enumerate() {
            if header.ty != NalType::PREFIX_SEI {
                continue;
            }
            let Some(read) = SeiNal::read(nal) else { continue };
            let mut keep = Vec::new();
            let mut differing = 0;
            for message in read.messages() {
                let wanted = match message.ty {
                    sei::MASTERING_DISPLAY => mdcv.as_deref().map(|wanted| (wanted, &mut seen.mdcv)),
                    sei::CONTENT_LIGHT => cll.as_deref().map(|wanted| (wanted, &mut seen.cll)),
                    _ => None,
                };
                seen.hdr10plus |= message.ty == sei::T35 && sei::is_hdr10plus(message.payload);
                match wanted {
                    Some((wanted, _)) if wanted != message.payload => differing += 1,
                    None if irap && message.ty == sei::CONTENT_LIGHT && message.payload == [0; 4] => {
                        differing += 1;
                    }
                    Some((_, found)) => {
                        *found = true;
                        keep.push(message);
                    }
                    None => keep.push(message),
                }
            }
            if differing > 0 {
                self.replaced += differing;
                seen.changed.push((index, if keep.is_empty() { Vec::new() } else { sei::prefix_nal(&keep) }));
            }
        }
        seen
    }

    fn insert_sei(
        &mut self,
        unit: &AccessUnit,
        seen: &Seen,
        dynamic: Option<&[u8]>,
    ) -> Result<(), InjectError> {
        if unit.picture.nal_type.is_irap() {
            if let Some(mdcv) = self.plan.mdcv.as_ref().filter(|_| !seen.mdcv) {
                self.put(&sei::mdcv_nal(mdcv))?;
                self.inserted += 1;
            }
            if let Some(cll) = self.plan.cll.as_ref().filter(|_| !seen.cll) {
                self.put(&sei::cll_nal(cll))?;
                self.inserted += 1;
            }
        }
        if let Some(nal) = dynamic.filter(|_| !seen.hdr10plus) {
            self.put(nal)?;
            self.hdr10plus += 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<InjectReport, InjectError> {
        self.out.flush().map_err(InjectError::Output)?;
        Ok(InjectReport {
            frames: self.frames,
            rpus_written: self.frames,
            dropped_foreign_nals: self.dropped,
            sei_inserted: self.inserted,
            sei_replaced: self.replaced,
            hdr10plus_inserted: self.hdr10plus,
            max_held_aus: 0,
            bytes: self.out.bytes,
            vcl: self.vcl.finish(),
            reordered_by: Method::Dense,
        })
    }
}

/// A NAL of this type and of layer 0 that cannot be mistaken for two, nor swallow the start code behind it.
fn well_formed(nal: &[u8], ty: NalType) -> bool {
    let header = NalHeader::parse(nal).is_ok_and(|header| header.ty == ty && header.layer_id == 0);
    header && nal.len() > 2 && nal.last() != Some(&0) && find_start_code(nal).is_none()
}

/// Counts what goes through.
struct Counted<W> {
    out: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.out.write(data)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
