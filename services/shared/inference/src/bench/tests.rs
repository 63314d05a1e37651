#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use super::*;
use crate::engine::fake;
use crate::system::{stat_cpu_seconds, status_bytes};

fn steps(all: &[(usize, usize)]) -> Vec<StepRecord> {
    let start = Instant::now();
    let record = |(index, (prefilled, decoded)): (usize, &(usize, usize))| StepRecord {
        prefilled: *prefilled,
        decoded: *decoded,
        ended: start + Duration::from_secs(1 + index as u64),
        cpu_seconds: Some(2.0 * index as f64),
    };
    all.iter().enumerate().map(record).collect()
}

#[test]
fn only_steps_in_which_all_decode_and_nothing_else_count() {
    let measured = full_steps(&steps(&[(8, 0), (4, 1), (3, 2), (0, 3), (0, 3), (0, 3), (0, 2), (0, 1)]), 3).unwrap();
    assert_eq!((measured.steps, measured.output_tokens, measured.input_tokens), (2, 6, 0));
    assert!((measured.wall_seconds - 2.0).abs() < 1e-9);
    assert!((measured.output_per_second() - 3.0).abs() < 1e-9);
    assert_eq!(measured.cpu_seconds, Some(4.0));
    assert_eq!(full_steps(&steps(&[(8, 0), (0, 2), (0, 2)]), 3), None, "never all of them");
    assert_eq!(full_steps(&steps(&[(8, 0), (0, 3), (0, 2)]), 3), None, "one step has no duration");
}

/// When the last sequence starts to decode, all sequences stand at the same context.
#[test]
fn staggered_prompts_stand_at_one_context_in_the_end() {
    for (batch, context, step_tokens) in [(1, 512, 256), (4, 50, 64), (32, 512, 256), (32, 1300, 256), (8, 300, 2048)] {
        let lengths = lengths(batch, context, step_tokens);
        let starts = starts(&lengths, step_tokens);
        let last = starts[batch - 1];
        for (length, start) in lengths.iter().zip(&starts) {
            assert!((length + last - start).abs_diff(context) <= 1, "{lengths:?} {starts:?}");
        }
    }
}

#[tokio::test]
async fn documents_are_counted_with_exactly_the_tokens_asked_for() {
    let engine = fake::engine(256, 0);
    let prompts = vec![vec![70; 40], vec![71, 72, 73], vec![74; 100]];
    let measured = documents(&engine, &prompts, 30, End::AtLimit).await.unwrap();
    assert_eq!((measured.documents, measured.input_tokens, measured.output_tokens), (3, 143, 90));
    assert!(measured.steps >= 32 && measured.wall_seconds > 0.0);
}

#[tokio::test]
async fn decoding_is_measured_with_every_sequence_in_the_batch() {
    let engine = fake::engine_of_crowd(256, 4);
    let text: Vec<u32> = (1..200).collect();
    let measured = decode(&engine, &text, 4, 50, 24, 64).await.unwrap();
    assert!(measured.steps >= 20, "{measured:?}");
    assert_eq!(measured.output_tokens, 4 * measured.steps);
    // The fake engine computes eight together.
    let error = decode(&engine, &text, 9, 20, 8, 64).await.unwrap_err();
    assert_eq!(error.code(), "invalid_request");
}

#[tokio::test]
async fn a_token_that_the_model_does_not_have_is_refused() {
    let engine = fake::engine(256, 0);
    for prompt in [vec![1, 2, 1_000_000], vec![]] {
        let error = engine.submit_tokens(request(prompt, 4, End::Natural)).await.unwrap_err();
        assert_eq!(error.code(), "invalid_request");
    }
}

#[test]
fn prompts_come_back_from_their_file_as_they_were() {
    let prompts = vec![vec![1, 2, 49_151], vec![7]];
    assert_eq!(parse(&write(&prompts)).unwrap(), prompts);
    assert_eq!(parse("1 2\n\n3 x\n").unwrap_err(), "line 3 holds something that is no token id");
}

#[test]
fn slices_have_their_lengths_and_differ() {
    let text: Vec<u32> = (0..100).collect();
    let cut = slices(&text, &[150, 30, 30]);
    assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), [150, 30, 30]);
    assert_eq!(cut[0][100], 0);
    assert_ne!(cut[1], cut[2]);
}

#[test]
fn the_system_is_understood_whatever_the_process_is_called() {
    let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 4 0 1 1 1";
    assert_eq!(stat_cpu_seconds(stat), Some(3.0));
    assert_eq!(status_bytes("VmPeak:\t 10 kB\nVmHWM:\t    4 kB\n", "VmHWM:"), Some(4096));
    assert!(cpu_seconds().is_some() && peak_rss_bytes().is_some(), "on Linux");
}

#[test]
fn broken_prompt_files_are_survived() {
    precis_fuzz::survives("prompts", &[b"1 2 3\n\n49151 0\n".to_vec()], |bytes| {
        if let Ok(prompts) = prompts::parse(&String::from_utf8_lossy(bytes)) {
            assert_eq!(prompts::parse(&prompts::write(&prompts)).unwrap(), prompts);
        }
    });
}
