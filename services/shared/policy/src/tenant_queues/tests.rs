#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// The place of a document of ordinary length.
fn place(partition: i32, offset: i64, priority: i32) -> Place {
    Place { partition, offset, priority, cost: 1 }
}

fn anyone(_: &str) -> bool {
    true
}

/// All items in the order in which they go: tenant and number.
fn order(mut queues: TenantQueues<usize>) -> Vec<(String, usize)> {
    std::iter::from_fn(|| queues.pop(anyone)).collect()
}

/// Queues of documents that arrive in this order, given by tenant, weight and priority, each in a
/// partition of its own.
fn queues(items: &[(&str, u32, i32)]) -> TenantQueues<usize> {
    let mut queues = TenantQueues::default();
    for (number, (tenant, weight, priority)) in items.iter().enumerate() {
        queues.push(tenant, *weight, place(number as i32, 0, *priority), number);
    }
    queues
}

/// The second tenant's first document goes second, however many of the first tenant's wait.
#[test]
fn a_second_tenants_first_document_goes_second() {
    let mut items = vec![("a", 1, 0); 1_000];
    items.extend([("b", 1, 0); 3]);
    let order = order(queues(&items));
    let places: Vec<usize> = (0..order.len()).filter(|at| order[*at].0 == "b").collect();
    assert_eq!(places, [1, 3, 5]);
}

#[test]
fn a_weight_of_three_goes_three_times_a_turn() {
    let items: Vec<_> = [("a", 3, 0), ("b", 1, 0)].repeat(8);
    let order: String = order(queues(&items)).into_iter().map(|(tenant, _)| tenant).collect();
    assert_eq!(order, "aaabaaabaabbbbbb");
}

#[test]
fn a_priority_changes_the_order_of_its_own_tenant_alone() {
    let items = [("a", 1, 0), ("a", 1, 9), ("a", 1, 9), ("b", 1, -5)];
    let order: Vec<usize> = order(queues(&items)).into_iter().map(|(_, number)| number).collect();
    assert_eq!(order, [1, 3, 2, 0]);
}

#[test]
fn a_priority_brings_forward_what_precedes_it_in_its_partition() {
    let mut queues = TenantQueues::default();
    // Partition, offset and priority; the second document arrived late for its offset.
    for (number, (partition, offset, priority)) in
        [(0, 8, 0), (0, 7, 0), (1, 3, 0), (1, 4, 5), (1, 5, 0)].into_iter().enumerate()
    {
        queues.push("a", 1, place(partition, offset, priority), number);
    }
    let order: Vec<usize> = order(queues).into_iter().map(|(_, number)| number).collect();
    assert_eq!(order, [2, 3, 1, 0, 4]);
}

#[test]
fn a_barred_tenant_holds_up_nobody() {
    let mut waiting = queues(&[("a", 5, 0), ("a", 5, 0), ("b", 1, 0)]);
    assert_eq!(waiting.pop(|tenant| tenant == "b"), Some(("b".to_owned(), 2)));
    assert_eq!(waiting.pop(|tenant| tenant == "b"), None);
    assert_eq!((waiting.len(), waiting.tenants()), (2, 1));
    waiting.retain(|number| *number == 1);
    assert_eq!(order(waiting), [("a".to_owned(), 1)]);
}

/// A tenant with documents of sixty times the length gets as many tokens as another, not as many
/// documents.
#[test]
fn long_documents_go_as_seldom_as_they_are_long() {
    let mut queues = TenantQueues::default();
    for offset in 0..64 {
        queues.push("long", 1, Place { cost: 60, ..place(0, offset, 0) }, ());
        (0..64).for_each(|more| queues.push("short", 1, place(0, offset * 64 + more, 0), ()));
    }
    let order: Vec<String> = std::iter::from_fn(|| queues.pop(anyone)).map(|(tenant, ())| tenant).take(610).collect();
    let long = order.iter().filter(|tenant| *tenant == "long").count();
    assert_eq!(long, 10, "one for each sixty short ones");
}

/// A document of any cost goes at once where nobody else waits, and its cost is not carried over.
#[test]
fn a_long_document_alone_goes_at_once() {
    let mut queues = TenantQueues::default();
    queues.push("a", 3, Place { cost: u32::MAX, ..place(0, 0, 0) }, 0);
    queues.push("a", 3, place(0, 1, 0), 1);
    assert_eq!(order(queues), [("a".to_owned(), 0), ("a".to_owned(), 1)]);
}

#[test]
fn cost_is_one_for_each_three_thousand_tokens() {
    let costs = [0.0, 1.0, 3_000.0, 3_001.0, 524_288.0, f64::MAX, f64::NAN].map(cost_of);
    assert_eq!(costs, [1, 1, 1, 2, 175, u32::MAX, 1]);
}

#[derive(Debug, Clone)]
enum Step {
    Push { tenant: usize, place: Place },
    Pop { barred: Option<usize> },
    Leave(usize),
}

const TENANTS: [(&str, u32); 4] = [("a", 1), ("b", 2), ("c", 5), ("d", 1)];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..TENANTS.len(), 0..2, 0..20_i64, -1..2)
            .prop_map(|(tenant, partition, offset, priority)| Step::Push { tenant, place: place(partition, offset, priority) }),
        3 => proptest::option::weighted(0.3, 0..TENANTS.len()).prop_map(|barred| Step::Pop { barred }),
        1 => (0..200_usize).prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    /// Against a plain model of the waiting items: a tenant that may go does, each in its order,
    /// and none waits for more than one turn of each other tenant.
    #[test]
    fn no_tenant_waits_longer_than_one_turn_of_each_other(steps in steps()) {
        let mut queues = TenantQueues::default();
        let mut waiting: Vec<(usize, Place, usize)> = Vec::new();
        // How many others went since a tenant could have gone, and did not.
        let mut passed: BTreeMap<usize, u32> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push { tenant, place } => {
                    let (name, weight) = TENANTS[tenant];
                    queues.push(name, weight, place, number);
                    waiting.push((tenant, place, number));
                }
                Step::Leave(at) => {
                    let Some((_, _, gone)) = (!waiting.is_empty()).then(|| waiting.remove(at % waiting.len())) else { continue };
                    queues.retain(|item| *item != gone);
                    // A tenant that comes back begins anew.
                    passed.retain(|tenant, _| waiting.iter().any(|(of, ..)| of == tenant));
                }
                Step::Pop { barred } => {
                    let may = |tenant: usize| barred != Some(tenant);
                    let went = queues.pop(|name| TENANTS.iter().position(|(known, _)| *known == name).is_some_and(may));
                    let Some((name, number)) = went else {
                        prop_assert!(!waiting.iter().any(|(tenant, ..)| may(*tenant)), "a tenant that may go waits, and none goes");
                        continue;
                    };
                    let tenant = TENANTS.iter().position(|(known, _)| *known == name).unwrap();
                    prop_assert!(may(tenant));
                    let of = |partition: i32| waiting.iter().filter(move |(of, place, _)| *of == tenant && place.partition == partition);
                    let head = |partition| of(partition).min_by_key(|(_, place, number)| (place.offset, *number)).map(|(.., number)| *number);
                    let highest = |partition| of(partition).map(|(_, place, _)| place.priority).max();
                    let next = (0..2).max_by_key(|partition| (highest(*partition), head(*partition).map(Reverse))).and_then(head);
                    prop_assert_eq!(next, Some(number));
                    waiting.retain(|(_, _, other)| *other != number);
                    for (other, (_, _)) in TENANTS.iter().enumerate() {
                        let waits = waiting.iter().any(|(of, ..)| *of == other);
                        if other == tenant || !waits || !may(other) {
                            passed.remove(&other);
                        } else {
                            let before = passed.entry(other).or_default();
                            *before += 1;
                            let others: u32 = TENANTS.iter().enumerate().filter(|(at, _)| *at != other).map(|(_, (_, weight))| weight).sum();
                            prop_assert!(*before <= others, "{} let {} others before it", TENANTS[other].0, before);
                        }
                    }
                }
            }
            prop_assert_eq!(queues.len(), waiting.len());
            prop_assert_eq!(queues.is_empty(), waiting.is_empty());
        }
    }

    /// Of queues that stay full, each gets its weight's share within a turn, after any number of
    /// rounds.
    #[test]
    fn weights_hold_within_a_turn(weights in proptest::collection::vec(1..6_u32, 2..5), taken in 1..120_usize) {
        let mut queues = TenantQueues::default();
        for _ in 0..taken {
            for (tenant, weight) in weights.iter().enumerate() {
                queues.push(&tenant.to_string(), *weight, place(0, 0, 0), ());
            }
        }
        let mut got = vec![0.0; weights.len()];
        for _ in 0..taken {
            got[queues.pop(anyone).unwrap().0.parse::<usize>().unwrap()] += 1.0;
        }
        let all: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
        for (got, weight) in got.iter().zip(&weights) {
            let due = taken as f64 * f64::from(*weight) / all;
            prop_assert!((got - due).abs() <= f64::from(*weight), "{got} instead of {due}");
        }
    }
}
