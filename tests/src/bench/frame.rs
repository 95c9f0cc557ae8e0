//! Frames of HTTP/2 (RFC 9113, section 4): a header of nine bytes and a payload.

/// Length of a frame's header.
pub(crate) const HEADER_LEN: usize = 9;

/// Flag of DATA and HEADERS: the sender will send no more on this stream.
pub(crate) const END_STREAM: u8 = 0x1;
/// Flag of SETTINGS and PING: this answers yours.
pub(crate) const ACK: u8 = 0x1;
/// Flag of HEADERS: the header block is complete.
pub(crate) const END_HEADERS: u8 = 0x4;
/// Flag of DATA and HEADERS: the payload begins with a count of padding bytes.
pub(crate) const PADDED: u8 = 0x8;
/// Flag of HEADERS: the header block comes after five bytes about priority.
pub(crate) const PRIORITY: u8 = 0x20;

/// Kinds of frames that a client of one server meets.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
}

/// The header of one frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameHead {
    pub(crate) len: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHead {
    /// Reads a header from the first nine bytes of `input`, or nothing while they are not all there.
    pub(crate) fn parse(input: &[u8]) -> Option<Self> {
        let h: &[u8; HEADER_LEN] = input.first_chunk()?;
        Some(Self {
            len: u32::from_be_bytes([0, h[0], h[1], h[2]]) as usize,
            kind: h[3],
            flags: h[4],
            stream: u32::from_be_bytes([h[5] & 0x7f, h[6], h[7], h[8]]),
        })
    }

    /// Whether `flag` is set.
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends the header of a frame with a payload of `len` bytes.
pub(crate) fn push_head(out: &mut Vec<u8>, len: usize, kind: u8, flags: u8, stream: u32) {
    let len = (len as u32).to_be_bytes();
    out.extend_from_slice(&[len[1], len[2], len[3], kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
}

/// Reads a big-endian number at `at`; zero when the payload is too short.
pub(crate) fn number(payload: &[u8], at: usize) -> u32 {
    payload
        .get(at..at + 4)
        .and_then(|b| b.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}
