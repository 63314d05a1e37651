//! Planted changes: found, measured and named.
#![allow(clippy::unwrap_used)]

use precis_schemas::Outcome;
use precis_statistics::cause::{Certainty, Reading};

use super::*;
use crate::testing::{HOUR, Random, answered, judged_as, not_judged};

/// The hour in which the last day begins: seven days are before it.
const LAST_DAY: i64 = 7 * 24;

/// 60 documents an hour over eight days. `make` gives each its series and the mean of its index.
fn eight_days(make: impl Fn(i64, &mut Random, &mut Outcome) -> f64) -> View {
    let (mut random, mut view) = (Random::new(5), View::default());
    for number in 0..8 * 24 * 60 {
        let hour = number / 60;
        let mut outcome = answered();
        outcome.settled_at = hour * HOUR + number % 60;
        outcome.words_in = (300.0 * (1.0 + 3.0 * random.unit())) as i32;
        let mean = make(hour, &mut random, &mut outcome);
        outcome.quality_index = Some(mean + 0.2 * (random.unit() - 0.5));
        view.add(&outcome);
    }
    view
}

fn compared(view: &View, by: &[Axis]) -> Report {
    report(view, by, &Windows::of(view, None, None).unwrap())
}

fn group<'a>(report: &'a Report, axis: Axis, value: &str) -> &'a Group {
    report.groups.iter().find(|group| group.by.get(&axis).is_some_and(|own| own == value)).unwrap()
}

fn named(group: &Group) -> (&'static str, Vec<&'static str>) {
    let cause = group.cause.as_ref().unwrap();
    let certainty = |cause: &NamedCause| match cause.certainty {
        Certainty::Possible => "possible",
        Certainty::Likely => "likely",
        Certainty::Confirmed => "confirmed",
    };
    (cause.name, cause.causes.iter().map(certainty).collect())
}

#[test]
fn a_quiet_week_has_no_alarm_and_no_cause() {
    let found = compared(&eight_days(|_, _, _| 0.85), &[Axis::Tier]);
    let [gpu] = &found.groups[..] else { panic!("{found:?}") };
    assert_eq!((gpu.current.documents, gpu.baseline.as_ref().unwrap().documents), (1440, 7 * 1440));
    let index = gpu.current.index.unwrap();
    assert!((index.mean - 0.85).abs() < 0.005 && index.interval.unwrap().width() < 0.01, "{index:?}");
    assert_eq!(gpu.change.unwrap().fall, Fall::Excluded);
    assert!(gpu.test.alarms.is_empty() && gpu.test.not_run.is_none() && gpu.test.documents == 1440, "{:?}", gpu.test);
    assert!(gpu.inputs.iter().all(|input| input.reading == Reading::Steady), "{:?}", gpu.inputs);
    assert_eq!((gpu.inputs.len(), &gpu.cause), (3, &None));
}

/// Half of the last day's documents go to a new version of the model, which is worse.
#[test]
fn a_worse_model_is_named() {
    let view = eight_days(|hour, random, outcome| {
        let is_new = hour >= LAST_DAY && random.unit() < 0.5;
        if is_new {
            outcome.model.as_mut().unwrap().revision = "v2".to_owned();
        }
        if is_new { 0.7 } else { 0.85 }
    });
    let found = compared(&view, &[Axis::Tier]);
    let gpu = group(&found, Axis::Tier, "gpu");
    assert_eq!(named(gpu), ("model", vec!["confirmed"]));
    let change = gpu.change.unwrap();
    assert!(change.fall == Fall::Proven && (change.relative + 0.088).abs() < 0.01, "{change:?}");
    let first = gpu.test.alarms[0];
    assert_eq!(first.since.to_string(), "1970-01-08T00:00Z");
    assert!(first.hour.to_string().as_str() <= "1970-01-08T03:00Z", "{first:?}");
    // The new version has no baseline of its own.
    let found = compared(&view, &[Axis::Model]);
    assert!(group(&found, Axis::Model, "precis/small@v2").baseline.is_none());
    assert_eq!(group(&found, Axis::Model, "precis/small@v1").change.unwrap().fall, Fall::Excluded);
}

#[test]
fn a_worse_prompt_is_named() {
    let view = eight_days(|hour, random, outcome| {
        let is_new = hour >= LAST_DAY && random.unit() < 0.6;
        if is_new {
            outcome.model.as_mut().unwrap().prompt_digest = "p2".to_owned();
        }
        if is_new { 0.7 } else { 0.85 }
    });
    assert_eq!(named(group(&compared(&view, &[Axis::Tier]), Axis::Tier, "gpu")), ("prompt", vec!["confirmed"]));
}

/// Tables are harder, and on the last day there are more of them.
#[test]
fn other_documents_are_named() {
    let view = eight_days(|hour, random, outcome| {
        let share = if hour >= LAST_DAY { 0.6 } else { 0.1 };
        let is_table = random.unit() < share;
        if is_table {
            outcome.document_type = "table".to_owned();
        }
        if is_table { 0.6 } else { 0.85 }
    });
    let found = compared(&view, &[Axis::Tier]);
    let gpu = group(&found, Axis::Tier, "gpu");
    assert_eq!(named(gpu), ("input", vec!["confirmed"]));
    let moved = |feature| gpu.inputs.iter().find(|input| input.feature == feature).unwrap().reading == Reading::Moved;
    assert!(moved("type") && !moved("length") && !moved("language"), "{:?}", gpu.inputs);
    assert!(found_by_type(&view).iter().all(|group| group.cause.is_none()));
}

fn found_by_type(view: &View) -> Vec<Group> {
    compared(view, &[Axis::Type]).groups
}

/// One of two providers falls, under the same model's name; nothing else changed.
#[test]
fn a_provider_that_changed_is_likely() {
    let view = eight_days(|hour, random, outcome| {
        let is_paid = random.unit() < 0.4;
        if is_paid {
            outcome.tier = Some("mid".to_owned());
            outcome.model.as_mut().unwrap().provider = "elsewhere".to_owned();
        }
        if is_paid && hour >= LAST_DAY { 0.7 } else { 0.85 }
    });
    let found = compared(&view, &[Axis::Tier]);
    assert_eq!(named(group(&found, Axis::Tier, "mid")), ("provider", vec!["likely"]));
    assert!(group(&found, Axis::Tier, "gpu").cause.is_none());
}

/// Everything falls at once, and nothing tells why: nothing is guessed.
#[test]
fn a_fall_without_evidence_has_no_known_cause() {
    let view = eight_days(|hour, _, _| if hour >= LAST_DAY { 0.75 } else { 0.85 });
    assert_eq!(named(group(&compared(&view, &[Axis::Tier]), Axis::Tier, "gpu")), ("unknown", vec![]));
}

#[test]
fn too_few_documents_are_said_to_be_so() {
    let mut view = View::default();
    for number in 0..30_i64 {
        let quality_index = Some(0.8 + 0.001 * number as f64);
        view.add(&Outcome { settled_at: number * 24 * HOUR, quality_index, ..answered() });
    }
    let found = compared(&view, &[Axis::Tier]);
    assert_eq!(
        found.groups[0].test.not_run.as_deref(),
        Some("the baseline: 29 values, but 50 are needed; collect more")
    );
    assert!(found.groups[0].inputs.iter().all(|input| input.reading == Reading::Unknown));
    assert_eq!(found.groups[0].change, None);
    let mut one = View::default();
    one.add(&answered());
    let alone = compared(&one, &[Axis::Tier]);
    assert_eq!((alone.baseline, alone.groups[0].test.not_run.as_deref()), (None, Some("there is no baseline")));
}

#[test]
fn windows_are_the_last_day_and_what_is_before_it() {
    let view = eight_days(|_, _, _| 0.85);
    let text = |since: Option<&str>, baseline: Option<&str>| {
        let windows =
            Windows::of(&view, since.map(|day| day.parse().unwrap()), baseline.map(|days| days.parse().unwrap()));
        windows.map(|windows| {
            let baseline = windows.baseline.map_or("none".to_owned(), |days| days.to_string());
            format!("{}, {baseline}", windows.current)
        })
    };
    assert_eq!(text(None, None).unwrap(), "1970-01-08, 1970-01-01 to 1970-01-07");
    assert_eq!(text(Some("1970-01-03"), None).unwrap(), "1970-01-03 to 1970-01-08, 1970-01-01 to 1970-01-02");
    assert_eq!(text(Some("1969-01-01"), None).unwrap(), "1969-01-01 to 1970-01-08, none");
    assert_eq!(text(None, Some("1970-01-02..1970-01-03")).unwrap(), "1970-01-08, 1970-01-02 to 1970-01-03");
    assert_eq!(text(Some("1970-01-09"), None), None);
    assert_eq!(Windows::of(&View::default(), None, None), None);
}

/// The JSON that programs read: names of axes, endings and scores as keys.
#[test]
fn a_report_is_json_by_name() {
    let view = eight_days(|_, _, _| 0.85);
    let found = compared(&view, &[Axis::Tier, Axis::Language]);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["layers"], serde_json::json!(["automatic"]));
    assert_eq!((&json["current"]["from"], &json["baseline"]["to"]), (&"1970-01-08".into(), &"1970-01-07".into()));
    let group = &json["groups"][0];
    assert_eq!(group["by"], serde_json::json!({"tier": "gpu", "language": "en"}));
    assert_eq!(group["current"]["endings"]["answered"], 1440);
    assert!(group["current"]["scores"]["source_rouge_l"]["mean"].is_number());
    assert_eq!(group["change"]["fall"], "excluded");
    assert_eq!(group["inputs"][0]["feature"], "length");
}

mod judge;
