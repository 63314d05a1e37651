//! Gives loadtest/quality/measure.py the logits of an engine.
//!
//! `PRECIS_QUALITY_TOKENS` names a file with u32 documents and, for each, u32 ids, u32 rows, the
//! ids, and the positions (ascending) whose logits are wanted. They are written to
//! `PRECIS_QUALITY_LOGITS` as f32, rows × vocabulary. All numbers little-endian.

use std::io::Write;
use std::path::Path;

use precis_kernels::Isa;

use super::golden::{BLOCKS, candle, cpu, feeding};
use super::tiny;

/// Tokens that are computed at a time.
const CHUNK_TOKENS: usize = 128;

fn write_logits(
    request: &Path,
    answer: &Path,
    mut feed: impl FnMut(usize, &[u32], &[usize]) -> Vec<Vec<f32>>,
) -> std::io::Result<()> {
    let bytes = std::fs::read(request)?;
    let mut numbers = bytes.chunks_exact(4).map(|bytes| u32::from_le_bytes(bytes.try_into().unwrap()));
    let mut next = || numbers.next().expect("the request ends early");
    let mut out = std::io::BufWriter::new(std::fs::File::create(answer)?);
    for _ in 0..next() {
        let (ids, rows) = (next(), next());
        let ids: Vec<u32> = (0..ids).map(|_| next()).collect();
        let rows: Vec<usize> = (0..rows).map(|_| next() as usize).collect();
        for (index, chunk) in ids.chunks(CHUNK_TOKENS).enumerate() {
            let start = index * CHUNK_TOKENS;
            let here = rows.iter().filter_map(|row| row.checked_sub(start)).filter(|row| *row < chunk.len());
            for logits in feed(start, chunk, &here.collect::<Vec<_>>()) {
                for logit in logits {
                    out.write_all(&logit.to_le_bytes())?;
                }
            }
        }
    }
    out.flush()
}

/// Answers the request that the environment names, if it names one. This is a tool that needs the
/// engine's internals, and a test only by its form.
fn answer(feed: impl FnMut(usize, &[u32], &[usize]) -> Vec<Vec<f32>>) {
    if let Some(request) = std::env::var_os("PRECIS_QUALITY_TOKENS") {
        let answer = std::env::var_os("PRECIS_QUALITY_LOGITS").expect("PRECIS_QUALITY_LOGITS is not set");
        write_logits(Path::new(&request), Path::new(&answer), feed).unwrap();
    }
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn logits_by_candle() {
    answer(feeding(candle(), BLOCKS));
}

#[test]
#[ignore = "needs the model: make test fetches it"]
fn logits_by_cpu() {
    answer(feeding(cpu(2, Isa::detect()), BLOCKS));
}

#[test]
fn logits_are_written_for_the_positions_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (request, answer) = (folder.path().join("tokens"), folder.path().join("logits"));
    let tokens: Vec<u32> = (0..300).map(|at| (at * 7 + at * at) % tiny::VOCABULARY as u32).collect();
    let short = &tokens[..3];
    let rows = [0, 127, 128, 299];
    let words = [&[2, 300, 4][..], &tokens, &rows, &[3, 1], short, &[2]].concat();
    std::fs::write(&request, words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    write_logits(&request, &answer, feeding(tiny::decoder(), tiny::BLOCKS)).unwrap();

    let bytes = std::fs::read(&answer).unwrap();
    let values: Vec<f32> = bytes.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect();
    let found: Vec<&[f32]> = values.chunks(tiny::VOCABULARY).collect();
    assert_eq!(found.len(), 5);
    let ends = rows.iter().map(|row| &tokens[..=*row as usize]).chain([short]);
    for (found, tokens) in found.iter().zip(ends) {
        for (found, expected) in found.iter().zip(tiny::Reference::new().logits(tokens)) {
            assert!((found - expected).abs() < 1e-3, "{found} instead of {expected} after {} tokens", tokens.len());
        }
    }
}
