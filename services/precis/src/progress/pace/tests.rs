#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;

use super::*;

/// Seconds between two samples: far fewer than any document takes, since what a document leaves of
/// a step is lost.
const STEP: f64 = 0.05;

/// A run whose model works at one speed: what the progress sees of it, and when each document ends.
#[derive(Debug, Clone)]
struct Run {
    /// Bytes and tokens written, by document.
    documents: Vec<(usize, u64)>,
    /// Documents in work at once.
    slots: usize,
    /// Tokens read for a byte: ordinary text has a quarter, encoded data more than half.
    read_a_byte: f64,
    /// Work a second.
    speed: f64,
}

/// What was told at one time of a run.
struct Told {
    at: f64,
    left: Option<f64>,
    done: usize,
    share: f64,
    since_last: f64,
}

impl Run {
    fn cost(&self, document: usize) -> Tokens {
        let (bytes, written) = self.documents[document];
        Tokens { read: (bytes as f64 * self.read_a_byte) as u64, written }
    }

    /// Works through it in short steps; returns what was told, and how long all took.
    fn told(&self) -> (Vec<Told>, f64) {
        let open = self.documents.iter().enumerate().map(|(id, (bytes, _))| (id.to_string(), *bytes));
        let mut pace = Pace::new(self.documents.len(), open);
        let mut waiting: VecDeque<usize> = (0..self.documents.len()).collect();
        let (mut in_work, mut told): (Vec<(usize, f64)>, _) = (Vec::new(), Vec::new());
        let (mut spent, mut done, mut last, mut at) = (0.0, 0, 0.0, 0.0);
        while done < self.documents.len() {
            while in_work.len() < self.slots
                && let Some(next) = waiting.pop_front()
            {
                in_work.push((next, self.cost(next).work()));
            }
            at += STEP;
            let each = self.speed * STEP / in_work.len() as f64;
            for (_, left) in &mut in_work {
                spent += each.min(*left);
                *left -= each;
            }
            let (over, rest): (Vec<_>, Vec<_>) = in_work.into_iter().partition(|(_, left)| *left <= 0.0);
            in_work = rest;
            for (document, _) in over {
                pace.computed(&document.to_string(), self.cost(document), Duration::from_secs_f64(at));
                (done, last) = (done + 1, at);
            }
            let running = in_work.len().max(self.slots.min(in_work.len() + waiting.len())) as u64;
            // The mix of tokens does not matter for what they cost.
            pace.sample(Duration::from_secs_f64(at), Tokens { read: spent as u64, written: 0 }, running);
            let left = pace.left(Duration::from_secs_f64(at)).map(|left| left.as_secs_f64());
            told.push(Told { at, left, done, share: pace.done(), since_last: at - last });
        }
        (told, at)
    }
}

fn runs() -> impl Strategy<Value = Run> {
    let documents = prop::collection::vec((200..20_000_usize, 20..200_u64), 1..60);
    (documents, 1..16_usize, 0.2..1.5, 100.0..1_000.0).prop_map(|(documents, slots, read_a_byte, speed)| Run {
        documents,
        slots,
        read_a_byte,
        speed,
    })
}

/// Documents of about one size, many more than are in work at once.
fn even_runs() -> impl Strategy<Value = Run> {
    let documents = prop::collection::vec((3_000..5_000_usize, 80..120_u64), 60..120);
    (documents, 1..9_usize, 0.2..1.5, 100.0..1_000.0).prop_map(|(documents, slots, read_a_byte, speed)| Run {
        documents,
        slots,
        read_a_byte,
        speed,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever the run: before a document is done nothing is told, then never less than the time
    /// since the last one.
    #[test]
    fn less_than_what_is_known_is_never_told(run in runs()) {
        let (told, _) = run.told();
        for Told { left, done, since_last, share, .. } in told {
            prop_assert!(left.is_none() || done > 0 && left > Some(since_last));
            prop_assert!((0.0..=1.0).contains(&share));
        }
    }

    /// At one speed and with documents of about one size, the estimate is within a fifth of the
    /// truth once a tenth of them is done.
    #[test]
    fn at_a_constant_rate_the_estimate_converges(run in even_runs()) {
        let (told, end) = run.told();
        let most = run.documents.len();
        for Told { at, left, done, .. } in told {
            // The last ones end together: what is left of them is a small difference of large
            // numbers.
            if done >= most / 10 + run.slots && done + 2 * run.slots < most {
                let (left, truth) = (left.unwrap_or_default(), end - at);
                prop_assert!((left - truth).abs() <= truth / 5.0, "{done} of {most} done: {left}, in truth {truth}");
            }
        }
    }
}

fn run_of(documents: Vec<(usize, u64)>, slots: usize, read_a_byte: f64) -> Run {
    Run { documents, slots, read_a_byte, speed: 300.0 }
}

/// Encoded data in a text: ten times the tokens of prose of its size in words.
#[test]
fn a_single_document_shows_the_time_so_far() {
    let (told, end) = run_of(vec![(80_000, 120)], 8, 0.6).told();
    assert!(end > 120.0 && told.iter().all(|told| told.left.is_none()), "{end}");
}

/// A document that takes far longer than its size says: the estimate ends before it becomes a
/// second for minutes.
#[test]
fn an_estimate_that_was_refuted_is_not_told() {
    let mut documents = vec![(2_000, 100); 10];
    documents.push((2_000, 20_000));
    let (told, end) = run_of(documents, 4, 0.25).told();
    let late = told.iter().filter(|told| told.at > end - 180.0);
    assert!(late.clone().count() > 100 && late.clone().all(|told| told.left.is_none()), "{end}");
}

#[test]
fn a_pause_is_forgotten_after_some_documents() {
    let mut pace = Pace::new(40, (0..40).map(|id| (id.to_string(), 400)));
    let mut at = Duration::ZERO;
    let mut tokens = Tokens::default();
    for id in 0..20 {
        at += if id == 5 { Duration::from_hours(1) } else { Duration::from_secs(10) };
        tokens.read += 100;
        pace.computed(&id.to_string(), Tokens { read: 100, written: 0 }, at);
        pace.sample(at, tokens, 1);
    }
    assert_eq!(pace.left(at).map(|left| left.as_secs()), Some(200));
}

/// Tokens of other machines are known when their documents end; the engine here counts none.
#[test]
fn documents_that_others_compute_are_counted_as_they_end() {
    let mut pace = Pace::new(10, (0..10).map(|id| (id.to_string(), 400)));
    for id in 0..5 {
        let at = Duration::from_secs(10 * (id + 1));
        pace.computed(&id.to_string(), Tokens { read: 100, written: 10 }, at);
        pace.sample(at, Tokens::default(), 0);
    }
    assert_eq!(pace.left(Duration::from_secs(50)), Some(Duration::from_secs(50)));
}

#[test]
fn documents_from_the_store_are_no_evidence() {
    let mut pace = Pace::new(3, [("c".to_owned(), 400)]);
    pace.settled("a");
    pace.settled("b");
    pace.sample(Duration::from_secs(5), Tokens { read: 500, written: 0 }, 1);
    assert_eq!(pace.left(Duration::from_secs(5)), None);
    let text = pace.describe(Duration::from_secs(5));
    assert_eq!(text, "2/3 documents · 5 s so far · 100 tokens a second");
    pace.settled("c");
    assert!((pace.done() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn times_are_rounded_up_to_what_can_be_meant() {
    let shown = |seconds: f64| rounded_up(Duration::from_secs_f64(seconds));
    assert_eq!([0.1, 5.0, 5.1, 59.0].map(shown), ["5 s", "5 s", "10 s", "1 min"]);
    assert_eq!([61.0, 119.0, 601.0, 3601.0].map(shown), ["1 min 10 s", "2 min", "11 min", "1 h 5 min"]);
}
