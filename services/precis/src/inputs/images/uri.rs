//! Data URIs in a text.

/// Longest media type with its parameters.
const MAX_HEADER_BYTES: usize = 256;
/// Characters of base64 from which a URI of no known medium is data all the same.
const MIN_BASE64: usize = 64;
/// Characters from which a URI that is not in base64 is data.
const MIN_LITERAL: usize = 256;
/// Columns from which a line of base64 may go on in the next one; RFC 2045 allows 76, PEM writes
/// 64.
const MIN_WRAPPED_COLUMNS: usize = 60;

const SCHEME: &str = "data:";

/// Media whose data is never to be read.
const MEDIA: [&str; 5] = ["image/", "audio/", "video/", "font/", "application/"];

/// A data URI and its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Uri {
    pub(super) start: usize,
    pub(super) end: usize,
    base64: bool,
    medium: bool,
    payload: usize,
}

impl Uri {
    /// Whether it is data for certain. Others are left where no markup says what they are: an
    /// article may be about them.
    pub(super) fn is_data(&self) -> bool {
        if self.base64 { self.medium || self.payload >= MIN_BASE64 } else { self.payload >= MIN_LITERAL }
    }
}

/// Finds the data URIs of a text in their order.
pub(super) struct Finder<'a> {
    text: &'a str,
    /// Where the last URI ended.
    from: usize,
    at: usize,
    /// Up to where the text is known to have no `"` and no `'` from `at` on.
    unquoted: [usize; 2],
}

impl<'a> Finder<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, from: 0, at: 0, unquoted: [0; 2] }
    }

    /// Goes on at a later place.
    pub(super) fn skip_to(&mut self, at: usize) {
        self.at = self.at.max(at);
        self.from = self.at;
    }

    pub(super) fn next(&mut self) -> Option<Uri> {
        loop {
            let colon = self.at + self.text[self.at..].find(':')?;
            self.at = colon + 1;
            let Some(start) = self.at.checked_sub(SCHEME.len()).filter(|start| *start >= self.from) else { continue };
            let named = self.text.get(start..self.at).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
            if !named || self.text[..start].ends_with(|before: char| before.is_alphanumeric()) {
                continue;
            }
            if let Some(uri) = self.read(start) {
                self.skip_to(uri.end);
                return Some(uri);
            }
        }
    }

    fn read(&mut self, start: usize) -> Option<Uri> {
        let header_at = start + SCHEME.len();
        let rest = &self.text[header_at..];
        let header = rest.find(|character: char| !is_header(character)).unwrap_or(rest.len());
        if header > MAX_HEADER_BYTES {
            return None;
        }
        let media_type = &rest[..header];
        let has = |part: &str| media_type.to_ascii_lowercase().contains(part);
        let medium = MEDIA.iter().any(|medium| media_type.to_ascii_lowercase().starts_with(medium));
        let base64 = has(";base64");
        if !media_type.contains('/') && !base64 {
            return None;
        }
        let payload_at = header_at + header + 1;
        let end = if rest[header..].starts_with(',') {
            if base64 { self.base64(start, payload_at) } else { self.literal(start, payload_at) }
        } else if base64 && media_type.ends_with("...") {
            // As some converters shorten it.
            header_at + header
        } else {
            return None;
        };
        Some(Uri { start, end, base64, medium, payload: end.saturating_sub(payload_at) })
    }

    /// The end of base64, which may be wrapped into lines.
    fn base64(&self, start: usize, at: usize) -> usize {
        let blanks = |at: usize| self.text[at..].len() - self.text[at..].trim_start_matches([' ', '\t']).len();
        let run = |at: usize| self.text[at..].find(|character| !is_base64(character)).unwrap_or(self.text.len() - at);
        let at = at + blanks(at);
        let mut end = at + run(at);
        let mut columns = end - start;
        while columns >= MIN_WRAPPED_COLUMNS {
            let rest = &self.text[end..];
            let Some(broken) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) else { break };
            let next = self.text.len() - broken.len();
            let next = next + blanks(next);
            columns = run(next);
            let line = &self.text[next..next + columns];
            let closed = self.text[next + columns..].starts_with([')', '"', '\'', '>']);
            // A last line is short; a word of the text that follows is, too.
            if columns == 0 || !(columns >= MIN_WRAPPED_COLUMNS || line.ends_with('=') || closed) {
                break;
            }
            end = next + columns;
        }
        end
    }

    /// The end of other data: its quote, or where a URI ends in a text.
    fn literal(&mut self, start: usize, at: usize) -> usize {
        let quote = self.text[..start].chars().next_back().filter(|before| matches!(before, '"' | '\''));
        if let Some(quote) = quote
            && let Some(end) = self.quoted(at, quote)
        {
            return end;
        }
        let mut open = 0;
        let ends = |character: char| {
            match character {
                '(' => open += 1,
                ')' if open == 0 => return true,
                ')' => open -= 1,
                _ => {}
            }
            character.is_whitespace() || matches!(character, '"' | '<' | '>')
        };
        at + self.text[at..].find(ends).unwrap_or(self.text.len() - at)
    }

    /// The place of the quote, if it comes before an empty line.
    fn quoted(&mut self, at: usize, quote: char) -> Option<usize> {
        let unquoted = &mut self.unquoted[usize::from(quote == '"')];
        if at < *unquoted {
            return None;
        }
        let mut line = at;
        // Not line by line: the end of a line may be that of the text, for each of many URIs.
        let end = loop {
            let Some(found) = self.text[line..].find([quote, '\n']) else { break self.text.len() };
            let next = line + found + 1;
            if self.text[..next].ends_with(quote) {
                return Some(line + found);
            }
            if self.text[line..next].trim().is_empty() {
                break next;
            }
            line = next;
        };
        *unquoted = end;
        None
    }
}

fn is_header(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '/' | '.' | '+' | '-' | ';' | '=' | '_' | '%')
}

fn is_base64(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '+' | '/' | '=' | '-' | '_' | '%')
}
