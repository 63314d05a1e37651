//! W3C trace context: one trace from the publisher's request to the outcome, carried in the Kafka
//! header [`TRACEPARENT`].
//!
//! Follows <https://www.w3.org/TR/trace-context/> level 1. The known fields of a later version's
//! header are read, and written as version 00. A malformed header is dropped, and a new trace
//! begins.

use std::fmt;

/// Name of the header.
pub const TRACEPARENT: &str = "traceparent";

const SAMPLED: u8 = 1;
/// `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;

/// A trace, and a span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// The start of a new trace, with random ids.
    #[expect(clippy::new_without_default, reason = "two defaults would not be equal")]
    pub fn new() -> Self {
        Self { trace_id: non_zero(), span_id: non_zero(), sampled: true }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { span_id: non_zero(), ..*self }
    }

    /// Reads a `traceparent` header; `None` for a malformed one, which must be ignored.
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.trim();
        let (known, rest) = header.split_at_checked(LENGTH)?;
        let mut fields = known.split('-');
        let [version] = hex::<1>(fields.next()?)?;
        let trace_id = hex::<16>(fields.next()?)?;
        let span_id = hex::<8>(fields.next()?)?;
        let [flags] = hex::<1>(fields.next()?)?;
        let may_go_on = version != 0 && rest.starts_with('-');
        let valid = version != 0xFF
            && fields.next().is_none()
            && (rest.is_empty() || may_go_on)
            && trace_id != [0; 16]
            && span_id != [0; 8];
        valid.then_some(Self { trace_id, span_id, sampled: flags & SAMPLED != 0 })
    }

    /// The context of work that came with `header`: a child span of it. Without a valid header, a
    /// new trace.
    pub fn continue_from(header: Option<&str>) -> Self {
        header.and_then(Self::parse).map_or_else(Self::new, |parent| parent.child())
    }

    /// The header's content, as version 00.
    pub fn to_header(&self) -> String {
        self.to_string()
    }

    /// The trace's id, as logs and tracing tools show it.
    pub fn trace_id(&self) -> String {
        Hex(&self.trace_id).to_string()
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", Hex(&self.trace_id), Hex(&self.span_id), u8::from(self.sampled))
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Exactly `N` bytes in lower-case hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes();
    if pairs.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Random bytes; all zeros mean "no id".
fn non_zero<const N: usize>() -> [u8; N] {
    loop {
        let bytes: [u8; N] = rand::random();
        if bytes != [0; N] {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests;
