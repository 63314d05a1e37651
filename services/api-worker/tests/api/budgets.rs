//! Budgets over several instances that know of each other only through the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use precis_api_worker::budget::account::Slice;
use precis_api_worker::budget::{BudgetError, Budgets};
use precis_policy::{Budget, Policy};
use precis_schemas::Usd;
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use time::OffsetDateTime;
use time::macros::datetime;

use crate::deployment::{TENANT, policy};
use crate::memory::MemoryStore;

const NOON: OffsetDateTime = datetime!(2026-11-24 12:00 UTC);
const DAILY: &str = "name = \"daily\"\nwindow = \"day\"\nusd = 4\ntier = \"api\"";
const MONTHLY: &str = "name = \"monthly\"\nwindow = \"month\"\nusd = 5\nslice_usd = \"0.5\"";

fn budgets(sections: &[&str]) -> Vec<Budget> {
    let sections: String = sections.iter().map(|section| format!("[[budgets]]\n{section}\n")).collect();
    Policy::parse(&(policy("openai", "gpt-5.4-nano") + &sections)).unwrap().budgets
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn nanos(nanos: i64) -> Usd {
    Usd::from_nanos(nanos).unwrap()
}

/// The slices of each window, in order.
fn windows(store: &MemoryStore) -> BTreeMap<String, Vec<Slice>> {
    let mut windows = BTreeMap::<_, Vec<_>>::new();
    for (key, bytes) in store.objects() {
        let (window, number) = key.rsplit_once('/').unwrap();
        let slices = windows.entry(window.to_owned()).or_default();
        assert_eq!(number.parse::<usize>().unwrap(), slices.len(), "{key}: no number is left out");
        slices.push(serde_json::from_slice(&bytes).unwrap());
    }
    windows
}

/// Record of the requesters and the provider.
#[derive(Default)]
struct Seen {
    billed: i64,
    /// By instance: requests in flight, and their number at the last grant.
    under_way: HashMap<usize, HashSet<usize>>,
    at_last_grant: HashMap<usize, HashSet<usize>>,
    excess: HashMap<usize, i64>,
    requests: usize,
    instances: usize,
}

struct World {
    store: Arc<MemoryStore>,
    limits: Vec<Budget>,
    instances: Mutex<Vec<(usize, Arc<Budgets>)>>,
    seen: Mutex<Seen>,
    restarts: f64,
}

impl World {
    fn start_instance(&self) -> (usize, Arc<Budgets>) {
        let mut seen = self.seen.lock().unwrap();
        seen.instances += 1;
        (seen.instances, Arc::new(Budgets::new(self.store.clone())))
    }

    /// Reserves until there is no money left, from an instance that is restarted now and then.
    async fn spend(&self, place: usize, mut random: StdRng) {
        loop {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..50))).await;
            if random.random_bool(self.restarts) {
                let fresh = self.start_instance();
                self.instances.lock().unwrap()[place] = fresh;
            }
            let (instance, budgets) = self.instances.lock().unwrap()[place].clone();
            let amount = random.random_range(1..200_000_000);
            let mut reservation = match budgets.reserve(&self.limits, "api", TENANT, nanos(amount), NOON).await {
                Ok(reservation) => reservation,
                Err(BudgetError::Exhausted { .. }) => return,
                Err(BudgetError::Store(_)) => continue,
                Err(error) => panic!("{error}"),
            };
            let actual = (amount as f64 * random.random_range(0.0..1.6)) as i64;
            let request = {
                let seen = &mut *self.seen.lock().unwrap();
                seen.requests += 1;
                let under_way = seen.under_way.entry(instance).or_default();
                under_way.insert(seen.requests);
                seen.at_last_grant.insert(instance, under_way.clone());
                seen.excess.insert(seen.requests, actual - amount);
                seen.requests
            };
            reservation.leaves();
            // The bill comes late.
            tokio::time::sleep(Duration::from_millis(random.random_range(0..2_000))).await;
            let mut seen = self.seen.lock().unwrap();
            seen.billed += actual;
            seen.under_way.get_mut(&instance).unwrap().remove(&request);
            if actual > amount || random.random_bool(0.9) {
                reservation.settle(nanos(actual));
            }
        }
    }
}

fn within_the_limit(seed: u64, instances: usize, trouble: f64, restarts: f64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(World {
            store: MemoryStore::troubled(seed, trouble, Duration::from_millis(30)),
            limits: budgets(&[DAILY, MONTHLY]),
            instances: Mutex::default(),
            seen: Mutex::default(),
            restarts,
        });
        for _ in 0..instances {
            let fresh = world.start_instance();
            world.instances.lock().unwrap().push(fresh);
        }
        let requesters: Vec<_> = (0..50)
            .map(|number| {
                let (world, random) = (Arc::clone(&world), StdRng::seed_from_u64(seed ^ number));
                tokio::spawn(async move { world.spend(number as usize % instances, random).await })
            })
            .collect();
        for requester in requesters {
            requester.await.unwrap();
        }
        for (window, slices) in windows(&world.store) {
            let limit = if window.contains("tier=api") { usd("4") } else { usd("5") };
            let mut end = Usd::ZERO;
            for slice in slices {
                assert!(slice.from == end && slice.upto > end, "{window}: slices lie end to end");
                end = slice.upto;
            }
            assert!(end <= limit, "{window}");
        }
        let seen = world.seen.lock().unwrap();
        let excess = |request: &usize| seen.excess[request].max(0);
        let overshoot: i64 = seen.at_last_grant.values().flatten().map(excess).sum();
        assert!(seen.billed <= usd("4").nanos() + overshoot, "{} of 4 and {overshoot}", seen.billed);
        // Restarts leave slices behind; without them nearly all of it can be spent.
        assert!(restarts > 0.0 || seen.billed > usd("2").nanos(), "{}", seen.billed);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fifty_requesters_overshoot_only_by_bills_above_reservations(
        seed: u64,
        instances in 1_usize..6,
        trouble in prop_oneof![Just(0.0), Just(0.3)],
        restarts in prop_oneof![Just(0.0), Just(0.05)],
    ) {
        within_the_limit(seed, instances, trouble, restarts);
    }
}

#[tokio::test]
async fn a_slice_has_one_owner_however_many_want_it() {
    let store = MemoryStore::troubled(7, 0.0, Duration::from_micros(200));
    let limits = Arc::new(budgets(&[DAILY]));
    let instances: Vec<_> = (0..8)
        .map(|_| {
            let (budgets, limits) = (Budgets::new(store.clone()), Arc::clone(&limits));
            tokio::spawn(async move {
                let mut granted = Vec::new();
                while let Ok(reservation) = budgets.reserve(&limits, "api", TENANT, usd("0.04"), NOON).await {
                    granted.push(reservation);
                }
                granted.len()
            })
        })
        .collect();
    let mut granted = 0;
    for instance in instances {
        granted += instance.await.unwrap();
    }
    assert_eq!((granted, windows(&store).values().map(Vec::len).sum::<usize>()), (100, 100));
}

#[tokio::test]
async fn every_budget_must_have_room_or_nothing_is_reserved() {
    let budgets_of = Budgets::new(MemoryStore::new());
    let small = "name = \"acme\"\nwindow = \"day\"\nusd = 1\ntenant = \"acme\"";
    let limits = budgets(&[DAILY, small]);
    let reserve =
        async |tenant: &str, amount: &str| budgets_of.reserve(&limits, "api", tenant, usd(amount), NOON).await;
    let held = reserve("acme", "0.8").await.unwrap();
    let error = reserve("acme", "0.8").await.err().unwrap();
    assert_eq!((error.code(), error.to_string().contains("budget acme")), ("budget_exhausted", true), "{error}");
    let other = reserve("other", "3.2").await.expect("all that acme does not hold is there for another");
    assert!(reserve("other", "0.01").await.is_err());
    drop((held, other));
    assert!(reserve("acme", "1").await.is_ok(), "what was never sent is given back");
}

#[tokio::test]
async fn what_has_left_counts_as_spent_until_it_is_settled() {
    let budgets_of = Budgets::new(MemoryStore::new());
    let limits = budgets(&[DAILY]);
    let reserve = async |amount: &str| budgets_of.reserve(&limits, "api", TENANT, usd(amount), NOON).await;
    let mut lost = reserve("3").await.unwrap();
    lost.leaves();
    drop(lost);
    assert!(reserve("1.5").await.is_err());
    let mut sent = reserve("1").await.unwrap();
    sent.leaves();
    sent.settle(usd("0.25"));
    assert!(reserve("0.76").await.is_err());
    assert!(reserve("0.75").await.is_ok());
}

#[tokio::test]
async fn a_new_day_has_money_again_as_far_as_the_month_has() {
    let budgets_of = Budgets::new(MemoryStore::new());
    let limits = budgets(&[DAILY, MONTHLY]);
    let day = std::time::Duration::from_hours(24);
    let mut yesterday = budgets_of.reserve(&limits, "api", TENANT, usd("4"), NOON).await.unwrap();
    yesterday.leaves();
    assert!(budgets_of.reserve(&limits, "api", TENANT, usd("0.5"), NOON).await.is_err());
    let today = budgets_of.reserve(&limits, "api", TENANT, usd("0.5"), NOON + day).await.unwrap();
    assert!(budgets_of.reserve(&limits, "api", TENANT, usd("0.6"), NOON + day).await.is_err(), "5 a month");
    yesterday.settle(usd("3.9"));
    assert!(budgets_of.reserve(&limits, "api", TENANT, usd("0.6"), NOON + day).await.is_ok(), "settled in its month");
    drop(today);
}

#[tokio::test]
async fn without_the_store_only_what_is_already_owned_is_spent() {
    let store = MemoryStore::new();
    let budgets_of = Budgets::new(store.clone());
    let limits = budgets(&[MONTHLY]);
    let reserve = async |amount: &str| budgets_of.reserve(&limits, "api", TENANT, usd(amount), NOON).await;
    let held = reserve("0.1").await.unwrap();
    store.fail(1.0);
    let more = reserve("0.4").await.unwrap();
    assert_eq!(reserve("0.1").await.err().unwrap().code(), "budget_unavailable");
    store.fail(0.0);
    assert!(reserve("0.1").await.is_ok());
    drop((held, more));
}

#[tokio::test]
async fn a_slice_whose_creation_seemed_to_fail_is_not_lost() {
    for seed in 0..20 {
        let store = MemoryStore::new();
        let budgets_of = Budgets::new(store.clone());
        let limits = budgets(&[MONTHLY]);
        store.fail(0.5);
        let mut attempts = 0;
        while budgets_of.reserve(&limits, "api", TENANT, usd("0.5"), NOON).await.is_err() {
            attempts += 1;
            assert!(attempts < 1_000);
        }
        let slices = windows(&store).into_values().next().unwrap();
        assert_eq!(slices.len(), 1, "{seed}: it is found again and taken for one's own");
    }
}

#[tokio::test]
async fn an_object_that_is_no_slice_stops_spending() {
    let store = MemoryStore::new();
    let limits = budgets(&[MONTHLY]);
    for bytes in [&b"{}"[..], b"", b"{\"owner\": \"a\", \"from\": \"2\", \"upto\": \"1\"}"] {
        precis_objects::ObjectStore::put_if_absent(&*store, "budgets/tier=~.tenant=~/2026-11/000000", bytes.to_vec())
            .await
            .unwrap();
        let error = Budgets::new(store.clone()).reserve(&limits, "api", TENANT, usd("0.1"), NOON).await.err().unwrap();
        assert_eq!(error.code(), "budget_unreadable");
        precis_objects::ObjectStore::delete(&*store, "budgets/tier=~.tenant=~/2026-11/000000").await.unwrap();
    }
}
