//! Prompts as lists of token ids, and their file format: one prompt a line, ids between spaces.

use std::fmt::Write as _;

/// Reads prompts; empty lines are left out. The error names the line.
pub fn parse(text: &str) -> Result<Vec<Vec<u32>>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let ids = line.split_whitespace().map(str::parse::<u32>).collect::<Result<Vec<_>, _>>();
            ids.map_err(|_| format!("line {} holds something that is no token id", index + 1))
        })
        .collect()
}

/// Writes prompts as [`parse`] reads them.
pub fn write(prompts: &[Vec<u32>]) -> String {
    let mut text = String::new();
    for prompt in prompts {
        for (index, id) in prompt.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            // Writing to a string never fails.
            let _ = write!(text, "{space}{id}");
        }
        text.push('\n');
    }
    text
}

/// Slices of `text` of these lengths, which start at different places and continue at its
/// beginning. They are real text, but no two are alike, so that nothing can be shared. `text` has
/// at least one id.
pub fn slices(text: &[u32], lengths: &[usize]) -> Vec<Vec<u32>> {
    let stride = (text.len() / lengths.len().max(1)).max(1);
    let slice =
        |(index, length): (usize, &usize)| text.iter().copied().cycle().skip(index * stride).take(*length).collect();
    lengths.iter().enumerate().map(slice).collect()
}
