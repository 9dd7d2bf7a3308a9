//! EBML numbers and elements inside a byte slice (RFC 8794 sections 4 to 7).

/// Reads a variable-size integer with the marker removed; `None` value bits all ones mean "unknown size".
/// Returns (value, length in bytes, all value bits are one).
pub(crate) fn vint(bytes: &[u8]) -> Option<(u64, usize, bool)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 8 || bytes.len() < length {
        return None;
    }
    let mut value = u64::from(first) & ((1u64 << (8 - length)) - 1);
    for byte in &bytes[1..length] {
        value = value << 8 | u64::from(*byte);
    }
    let unknown = value == (1u64 << (7 * length)) - 1;
    Some((value, length, unknown))
}

/// Reads an element id, marker kept. Returns (id, length in bytes).
pub(crate) fn element_id(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = *bytes.first()?;
    let length = first.leading_zeros() as usize + 1;
    if length > 4 || bytes.len() < length {
        return None;
    }
    Some((bytes[..length].iter().fold(0u32, |id, b| id << 8 | u32::from(*b)), length))
}

/// Iterates over the children of a master element held in memory. Stops at the first child that does not fit and
/// remembers that in `broken`.
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    pub(crate) broken: bool,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, broken: false }
    }

    fn parse(&mut self) -> Option<(u32, &'a [u8])> {
        let (id, id_length) = element_id(self.bytes)?;
        let (size, size_length, unknown) = vint(&self.bytes[id_length..])?;
        let start = id_length + size_length;
        let end = start.checked_add(usize::try_from(size).ok()?)?;
        if unknown || end > self.bytes.len() {
            return None;
        }
        let payload = &self.bytes[start..end];
        self.bytes = &self.bytes[end..];
        Some((id, payload))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u32, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() || self.broken {
            return None;
        }
        let element = self.parse();
        self.broken = element.is_none();
        element
    }
}

/// Unsigned integer payload; more than 8 bytes is no integer and reads as `None`.
pub(crate) fn uint(payload: &[u8]) -> Option<u64> {
    (payload.len() <= 8).then(|| payload.iter().fold(0u64, |value, b| value << 8 | u64::from(*b)))
}

/// Float payload of 0, 4 or 8 bytes.
pub(crate) fn float(payload: &[u8]) -> Option<f64> {
    match payload.len() {
        0 => Some(0.0),
        4 => Some(f64::from(f32::from_be_bytes(payload.try_into().ok()?))),
        8 => Some(f64::from_be_bytes(payload.try_into().ok()?)),
        _ => None,
    }
}

/// String payload: zero bytes end it, bytes that are no UTF-8 are replaced.
pub(crate) fn text(payload: &[u8]) -> String {
    let end = payload.iter().position(|b| *b == 0).unwrap_or(payload.len());
    String::from_utf8_lossy(&payload[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length() {
        assert_eq!(vint(&[0x81]), Some((1, 1, false)));
        assert_eq!(vint(&[0x40, 0x02]), Some((2, 2, false)));
        assert_eq!(vint(&[0xFF]), Some((127, 1, true)));
        assert_eq!(vint(&[0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), Some(((1 << 56) - 1, 8, true)));
        assert_eq!(vint(&[0x00, 0x01]), None);
        assert_eq!(vint(&[0x40]), None);
        assert_eq!(element_id(&[0x1A, 0x45, 0xDF, 0xA3]), Some((0x1A45_DFA3, 4)));
        assert_eq!(element_id(&[0x08, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_child_larger_than_its_parent_stops_the_walk() {
        let mut elements = Elements::new(&[0xD7, 0x81, 0x05, 0x83, 0x84, 0x01]);
        assert_eq!(elements.next(), Some((0xD7, &[5u8][..])));
        assert_eq!(elements.next(), None);
        assert!(elements.broken);
    }
}
